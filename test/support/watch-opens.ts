import fs, { realpathSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What opens a file or lists a folder, by its first argument; streams open theirs by `open`. */
const callbacks = ['open', 'openSync', 'readFile', 'readFileSync', 'readdir', 'readdirSync'] as const;
const promised = ['open', 'readFile', 'readdir', 'opendir'] as const;

type Opener = (path: unknown, ...rest: unknown[]) => unknown;

/** Names of all that this process opens by `node:fs` and `node:fs/promises`, links followed; until `stop`. */
export function watchOpens() {
  const opened: string[] = [];
  const undo: (() => void)[] = [];
  const note = (path: unknown) => {
    if (typeof path !== 'string' && !(path instanceof URL) && !Buffer.isBuffer(path)) return;
    const name = path instanceof URL ? fileURLToPath(path) : resolve(String(path));
    try {
      opened.push(realpathSync(name));
    } catch {
      opened.push(name);
    }
  };
  const watch = (place: object, names: readonly string[]) => {
    for (const name of names) {
      const real = Reflect.get(place, name) as Opener;
      const watched: Opener = (path, ...rest) => (note(path), real.call(place, path, ...rest));
      Reflect.set(place, name, watched);
      undo.push(() => Reflect.set(place, name, real));
    }
  };
  watch(fs, callbacks);
  watch(fs.promises, promised);
  syncBuiltinESMExports();
  return {
    opened,
    stop(): void {
      for (const one of undo) one();
      syncBuiltinESMExports();
    },
  };
}
