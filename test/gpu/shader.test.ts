import { describe, expect, it } from 'vitest';
import { assembleShader, type ShaderSpec } from '../../src/gpu/shader.ts';

const files: Record<string, string> = {
  'kernel.wgsl':
    'const ROWS: u32 = 8u;\nconst ROWS_MAX = 9u;\nalias Word = f32;  // const ROWS = 1u;\n' +
    'fn main() {\n  const ROWS = 2u;\n  let n = ROWS;\n}',
  'lib/twice.wgsl': 'fn twice(x: f32) -> f32 {\n  return 2.0 * x;\n}',
  'lib/word.wgsl': 'alias Word = vec2u;',
  'lib/table.wgsl': 'const TABLE = array<f32, 3>(\n  1.0,\n  2.0,\n  3.0,\n);',
};

const assemble = (spec: ShaderSpec) =>
  assembleShader(spec, (file) => {
    if (files[file] === undefined) throw new Error(`no file ${file}`);
    return files[file];
  });

describe('assembleShader', () => {
  it('gives a file as it is when there is nothing to set or link', () => {
    expect(assemble({ file: 'kernel.wgsl' })).toBe(files['kernel.wgsl']);
  });

  it('appends linked files in their order', () => {
    expect(assemble({ file: 'kernel.wgsl', link: ['twice.wgsl', 'table.wgsl'] })).toBe(
      [files['kernel.wgsl'], files['lib/twice.wgsl'], files['lib/table.wgsl']].join('\n'),
    );
  });

  it('sets a constant, keeps its type, and leaves longer names, comments and inner scopes alone', () => {
    expect(assemble({ file: 'kernel.wgsl', set: { ROWS: '16u' } })).toBe(
      files['kernel.wgsl']!.replace('const ROWS: u32 = 8u;', 'const ROWS: u32 = 16u;'),
    );
  });

  it('sets an alias, and a constant of a linked file that goes over several lines', () => {
    const code = assemble({ file: 'kernel.wgsl', link: ['table.wgsl'], set: { Word: 'vec4f', TABLE: 'array(0.5)' } });
    expect(code).toContain('alias Word = vec4f;  // const');
    expect(code.endsWith('\nconst TABLE = array(0.5);')).toBe(true);
  });

  it('takes `$` in a value literally', () => {
    const code = assemble({ file: 'kernel.wgsl', set: { ROWS: "$1 $& $$ $' $`" } });
    expect(code.startsWith("const ROWS: u32 = $1 $& $$ $' $`;\nconst ROWS_MAX")).toBe(true);
  });

  it.each([
    [{ file: 'kernel.wgsl', set: { COLUMNS: '1u' } }, '[kernel.wgsl] COLUMNS is declared 0 times'],
    [{ file: 'kernel.wgsl', set: { n: '1u' } }, '[kernel.wgsl] n is declared 0 times'],
    [{ file: 'kernel.wgsl', link: ['word.wgsl'], set: { Word: 'u32' } }, '[kernel.wgsl] Word is declared 2 times'],
  ] satisfies [ShaderSpec, string][])('refuses to set what is not declared exactly once: %j', (spec, text) => {
    expect(() => assemble(spec)).toThrow(
      expect.objectContaining({
        code: 'shader-invalid',
        message: `${text} (expected one const or alias line)`,
      }),
    );
  });

  it('passes the failure of its reader on', () => {
    expect(() => assemble({ file: 'kernel.wgsl', link: ['none.wgsl'] })).toThrow('no file lib/none.wgsl');
  });
});
