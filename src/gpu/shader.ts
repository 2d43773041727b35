import { WgrankError } from '../errors.ts';

/** How one WGSL program is put together; see shaders/README.md. */
export interface ShaderSpec {
  /** File name in `shaders/`. */
  readonly file: string;
  /** New right-hand sides for `const NAME = …;` and `alias NAME = …;` lines of the file. */
  readonly set?: Readonly<Record<string, string>>;
  /** Function files that the kernel calls, names in `shaders/lib/`. */
  readonly link?: readonly string[];
}

/** Reads `shaders/<file>`: the file system in Node, a map in a browser bundle. */
export type ShaderReader = (file: string) => string;

/**
 * Assembles one program: sets constants and aliases, appends linked files. That is all it does and all it will do: no
 * conditions, loops, macros or nesting.
 * @throws WgrankError `shader-invalid` when a name to set does not occur exactly once
 */
export function assembleShader(spec: ShaderSpec, read: ShaderReader): string {
  let source = [spec.file, ...(spec.link ?? []).map((name) => `lib/${name}`)].map(read).join('\n');
  for (const [name, value] of Object.entries(spec.set ?? {})) {
    const line = new RegExp(`^(const|alias) ${name}\\b([^=;]*)=[^;]*;`, 'gm');
    const found = source.match(line)?.length ?? 0;
    if (found !== 1) {
      throw new WgrankError(
        'shader-invalid',
        spec.file,
        `${name} is declared ${found} times (expected one const or alias line)`,
      );
    }
    source = source.replace(line, (_, keyword: string, type: string) => `${keyword} ${name}${type}= ${value};`);
  }
  return source;
}
