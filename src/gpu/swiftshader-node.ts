import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { brotliDecompress } from 'node:zlib';

/** dlfcn.h: resolve at load, and keep the library mapped after the failed registration below. */
const RTLD_NODELETE = 0x1000;
const wantedFiles = ['libvk_swiftshader.so', 'libvulkan.so.1', 'vk_swiftshader_icd.json'];

/**
 * Makes SwiftShader, a software Vulkan driver, visible to Dawn from inside this process: unpacks the driver and the Vulkan
 * loader that `@sparticuz/chromium` carries into the user's cache folder (a shared temporary one could be prepared by somebody else), points the loader at them and
 * maps it, so that Dawn's own `dlopen("libvulkan.so.1")` finds it by name.
 * @returns false where the package is missing or this is not Linux x64
 */
export async function installSwiftShader(): Promise<boolean> {
  if (os.platform() !== 'linux' || os.arch() !== 'x64') return false;
  let archive: Buffer;
  try {
    const entry = createRequire(import.meta.url).resolve('@sparticuz/chromium');
    archive = await readFile(path.join(packageRoot(entry), 'bin', 'swiftshader.tar.br'));
  } catch {
    return false;
  }
  const folder = await unpackSomewhere(archive);
  if (folder === undefined) return false;
  process.env['VK_ICD_FILENAMES'] = path.join(folder, 'vk_swiftshader_icd.json');
  process.env['VK_DRIVER_FILES'] = process.env['VK_ICD_FILENAMES'];
  try {
    process.dlopen({ exports: {} }, path.join(folder, 'libvulkan.so.1'), os.constants.dlopen.RTLD_NOW | RTLD_NODELETE);
  } catch {
    // Expected: a Vulkan loader is no Node addon. It stays mapped all the same, which is what was wanted.
  }
  return true;
}

/** Into the user's cache, or where that cannot be written, into a folder of this process's own. */
async function unpackSomewhere(archive: Buffer): Promise<string | undefined> {
  const cache = path.join(process.env['XDG_CACHE_HOME'] || path.join(os.homedir(), '.cache'), 'wgrank');
  for (const parent of [() => cache, () => mkdtemp(path.join(os.tmpdir(), 'wgrank-'))]) {
    try {
      return await unpack(archive, await parent());
    } catch {
      // not writable
    }
  }
  return undefined;
}

function packageRoot(entry: string): string {
  const marker = path.join('@sparticuz', 'chromium');
  return entry.slice(0, entry.lastIndexOf(marker) + marker.length);
}

/** Unpacks once per archive and user; concurrent processes race by an atomic rename. */
async function unpack(archive: Buffer, cache: string): Promise<string> {
  const digest = createHash('sha256').update(archive).digest('hex').slice(0, 16);
  const target = path.join(cache, `swiftshader-${digest}`);
  try {
    await readFile(path.join(target, 'vk_swiftshader_icd.json'));
    return target;
  } catch {
    // not unpacked yet
  }
  await mkdir(cache, { recursive: true });
  const temporary = await mkdtemp(`${target}-`);
  const tar = (await promisify(brotliDecompress)(archive)) as Buffer;
  for (const [name, data] of tarEntries(tar)) {
    if (wantedFiles.includes(name)) await writeFile(path.join(temporary, name), data, { mode: 0o755 });
  }
  try {
    await rename(temporary, target);
  } catch {
    await rm(temporary, { recursive: true, force: true }); // another process was first
  }
  return target;
}

/** Regular files of an uncompressed tar archive: 512-byte headers, name at 0, octal size at 124. */
function* tarEntries(tar: Buffer): Generator<[string, Buffer]> {
  for (let at = 0; at + 512 <= tar.length && tar[at] !== 0;) {
    const name = tar.toString('utf8', at, tar.indexOf(0, at));
    const size = Number.parseInt(tar.toString('latin1', at + 124, at + 136), 8) || 0;
    yield [path.posix.basename(name), tar.subarray(at + 512, at + 512 + size)];
    at += 512 + Math.ceil(size / 512) * 512;
  }
}
