import { fork, type ChildProcess, type StdioOptions } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';

export interface ForkOptions {
  readonly args?: readonly string[];
  /** Flags of Node and V8. */
  readonly flags?: readonly string[];
  /** All that the process sees of its environment. */
  readonly env: NodeJS.ProcessEnv;
  /** Its stdin, stdout and stderr; a channel for messages is the fourth. */
  readonly stdio: readonly ['ignore', 'ignore' | 'pipe', 'ignore' | 'pipe'];
}

/** Address of a module beside another one, with the same ending: `.ts` under tsx and vitest, `.js` in dist. */
export function neighbour(of: string, name: string): URL {
  return new URL(`./${name}.${of.endsWith('.ts') ? 'ts' : 'js'}`, of);
}

/** Runs a module in a process of its own, TypeScript by way of tsx. */
export function forkModule(module: URL, { args = [], flags = [], env, stdio }: ForkOptions): ChildProcess {
  const isSource = module.pathname.endsWith('.ts');
  const loader = isSource ? ['--import', pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href] : [];
  return fork(fileURLToPath(module), args, {
    serialization: 'advanced',
    execArgv: [...loader, ...flags],
    env,
    stdio: [...stdio, 'ipc'] as StdioOptions,
  });
}

/** For `new Worker`: a thread starts without its parent's loader, so a TypeScript file is imported behind a line that registers one. */
export function threadEntry(module: URL): URL {
  if (!module.pathname.endsWith('.ts')) return module;
  const loader = JSON.stringify(import.meta.resolve('tsx/esm/api'));
  const body = `import { register } from ${loader}; register(); await import(${JSON.stringify(module.href)});`;
  return new URL(`data:text/javascript,${encodeURIComponent(body)}`);
}
