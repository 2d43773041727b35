import { readFileSync } from 'node:fs';

const cache = new Map<string, string>();

/** Reads a file of the package's `shaders/` folder, which lies beside both `src/` and `dist/`. */
export function readShaderFile(file: string): string {
  let source = cache.get(file);
  if (source === undefined) {
    source = readFileSync(new URL(`../../shaders/${file}`, import.meta.url), 'utf8');
    cache.set(file, source);
  }
  return source;
}
