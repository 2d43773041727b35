import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { create } from 'webgpu';
import { openGpu } from '../../src/gpu/dawn-node.ts';

const root = new URL('../..', import.meta.url).pathname;
const temporary = mkdtempSync(path.join(os.tmpdir(), 'wgrank-adapter-'));
afterAll(() => rmSync(temporary, { recursive: true, force: true }));

/** Must stay reachable for as long as their adapters are used. */
const instances: GPU[] = [];

function valuesOf(limits: GPUSupportedLimits): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const name in limits) values[name] = limits[name as keyof GPUSupportedLimits];
  return values;
}

describe('openGpu', () => {
  it('asks for everything that the adapter has', async () => {
    const { gpu } = await openGpu();
    instances.push(create([]) as GPU);
    const adapter = (await instances[0]!.requestAdapter({ powerPreference: 'high-performance' }))!;
    const wanted = valuesOf(adapter.limits);
    expect(wanted['maxStorageBufferBindingSize']).toBeGreaterThan(0);
    expect(valuesOf(gpu.limits)).toEqual(wanted);
    expect(gpu.traits.f16).toBe(adapter.features.has('shader-f16'));
    expect(gpu.traits.timestamps).toBe(adapter.features.has('timestamp-query'));
    expect(gpu.traits.adapter).toContain(adapter.info.description);
    gpu.destroy();
  });
});

/** Runs a module in a process that sees no Vulkan driver. @returns what it printed last, as JSON */
async function runWithoutDriver(folder: string, script: string): Promise<unknown> {
  const nowhere = path.join(temporary, 'no-such-driver.json');
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', script], {
    cwd: folder,
    env: {
      ...process.env,
      VK_DRIVER_FILES: nowhere,
      VK_ICD_FILENAMES: nowhere,
      XDG_CACHE_HOME: path.join(temporary, 'cache'),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = { out: '', err: '' };
  child.stdout.on('data', (bytes: Buffer) => (output.out += bytes.toString()));
  child.stderr.on('data', (bytes: Buffer) => (output.err += bytes.toString()));
  const code = await new Promise((resolve) => child.once('close', resolve));
  if (code !== 0) throw new Error(`the child ended with ${String(code)}:\n${output.out}${output.err}`);
  return JSON.parse(output.out.trim().split('\n').at(-1)!);
}

// The fallback is a Linux x64 build; the summary names what is skipped elsewhere.
describe.skipIf(os.platform() !== 'linux' || os.arch() !== 'x64')('without any Vulkan driver', () => {
  const compute = `
    import { head } from './src/ops/head.ts';
    import { runOp, testGpu } from './test/support/op-harness.ts';
    const { gpu, warnings } = await testGpu();
    const out = await runOp((op) => {
      op.sizes = { S: 2 };
      const x = op.input('x', 'f32', ['S', 4], Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8));
      const weight = op.weight('weight', 'f32', [4], Float32Array.of(1, 10, 100, 1000));
      return head(op.graph, x, weight, op.weight('bias', 'f32', [1], Float32Array.of(0.5)));
    });
    console.log(JSON.stringify({ out: [...out], traits: gpu.traits, warnings }));
    gpu.destroy();
    process.exit();`;

  it('SwiftShader gives a device that computes, and a warning; two processes may unpack it at once', async () => {
    const results = await Promise.all([runWithoutDriver(root, compute), runWithoutDriver(root, compute)]);
    for (const result of results) {
      expect(result).toMatchObject({
        out: [4321.5, 8765.5],
        traits: { adapter: expect.stringMatching(/swiftshader/i) as string, software: true },
        warnings: [expect.stringMatching(/running on SwiftShader.* very slow.*lavapipe/) as string],
      });
    }
    const unpacked = readdirSync(path.join(temporary, 'cache', 'wgrank'));
    expect(unpacked).toEqual([expect.stringMatching(/^swiftshader-[0-9a-f]{16}$/)]); // nothing half-made beside it
    expect(await runWithoutDriver(root, compute)).toEqual(results[0]);
  });

  it('and without the package, the error says what to install', async () => {
    // A copy of the sources in an installation that lacks @sparticuz/chromium.
    const folder = path.join(temporary, 'bare');
    mkdirSync(path.join(folder, 'node_modules'), { recursive: true });
    cpSync(path.join(root, 'src'), path.join(folder, 'src'), { recursive: true });
    writeFileSync(path.join(folder, 'package.json'), '{"type": "module"}');
    for (const name of ['webgpu', 'tsx']) {
      symlinkSync(path.join(root, 'node_modules', name), path.join(folder, 'node_modules', name));
    }
    const result = await runWithoutDriver(
      folder,
      `import { openGpu } from './src/gpu/dawn-node.ts';
      const outcome = await openGpu().catch(({ code, message }) => ({ code, message }));
      console.log(JSON.stringify(outcome));
      process.exit();`,
    );
    expect(result).toEqual({
      code: 'adapter-missing',
      message: expect.stringMatching(
        /^\[gpu\] Dawn found no usable adapter: install .*lavapipe.*npm install @sparticuz\/chromium@147/,
      ) as string,
    });
  });
});
