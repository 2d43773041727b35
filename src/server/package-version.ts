import { readFileSync } from 'node:fs';

/** package.json lies two folders up from both src/server and dist/server. */
export function readPackageVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  return (manifest as { version: string }).version;
}
