import * as library from '@huggingface/jinja';

interface JinjaLibrary {
  Template: new (source: string) => { parsed: unknown; render(names: Readonly<Record<string, unknown>>): string };
  tokenize(source: string, options: { trim_blocks: boolean; lstrip_blocks: boolean }): unknown;
  parse(tokens: unknown): unknown;
}

// The package's own declarations use relative paths without extension, which `nodenext` does not resolve: what wgrank
// uses of 0.5.11 is declared above.
export const { Template, tokenize, parse } = library as unknown as JinjaLibrary;
