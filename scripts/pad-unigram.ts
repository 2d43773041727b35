import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

interface AddedToken {
  id: number;
  readonly content: string;
}
interface UnigramTokenizer {
  readonly added_tokens: AddedToken[];
  readonly model: { readonly type: string; vocab: [string, number][] };
}

/** Ranges that the pieces of a multilingual vocabulary come from, first and last code point, with their rough share in percent. */
const scripts: readonly (readonly [number, number, number])[] = [
  [0x61, 0x7a, 55],
  [0x430, 0x44f, 14],
  [0x4e00, 0x9fa5, 10],
  [0x627, 0x64a, 7],
  [0xac00, 0xd7a3, 5],
  [0x905, 0x939, 5],
  [0xe01, 0xe2e, 4],
];

/** Numbers in [0, below) by xorshift32. */
function makeDraw(seed: number): (below: number) => number {
  let state = seed | 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

function drawPiece(draw: (below: number) => number): string {
  let share = draw(100);
  const [first, last] = scripts.find(([, , percent]) => (share -= percent) < 0)!;
  const length = first < 0x4e00 ? 3 + draw(7) : 2 + draw(2);
  const letters = Array.from({ length }, () => String.fromCodePoint(first + draw(last - first + 1)));
  return (draw(100) < 55 ? '▁' : '') + letters.join('');
}

/**
 * Grows a Unigram vocabulary to `size` pieces with random ones of lower scores than all others, so that loading it costs what a
 * real vocabulary of that size costs. `<mask>` stays last; the other special tokens keep their ids.
 */
export function padUnigram(tokenizer: UnigramTokenizer, size: number, seed: number): void {
  const { model, added_tokens: added } = tokenizer;
  const mask = model.vocab.at(-1);
  if (model.type !== 'Unigram' || mask?.[0] !== '<mask>')
    throw new Error('expected a Unigram vocabulary that ends with <mask>');
  if (size < model.vocab.length) throw new Error(`the tokenizer has ${model.vocab.length} pieces, more than ${size}`);
  const pieces = model.vocab.slice(0, -1);
  const known = new Set(pieces.map(([piece]) => piece));
  const draw = makeDraw(seed);
  let score = Math.min(...pieces.map(([, value]) => value));
  const step = 5 / size;
  while (pieces.length < size - 1) {
    const piece = drawPiece(draw);
    if (known.has(piece)) continue;
    known.add(piece);
    score -= step;
    pieces.push([piece, score]);
  }
  model.vocab = [...pieces, mask];
  for (const token of added) if (token.content === '<mask>') token.id = size - 1;
}

/** Copies the tokenizer files of a model folder, padded to `size` pieces, laid out as published (two spaces of indent). */
export async function writePaddedTokenizer(
  from: string,
  to: string,
  size: number,
  seed: number,
  maxLength: number,
): Promise<void> {
  const tokenizer = JSON.parse(await readFile(join(from, 'tokenizer.json'), 'utf8')) as UnigramTokenizer;
  padUnigram(tokenizer, size, seed);
  await writeFile(join(to, 'tokenizer.json'), JSON.stringify(tokenizer, null, 2));
  const config = JSON.parse(await readFile(join(from, 'tokenizer_config.json'), 'utf8')) as {
    model_max_length?: number;
    added_tokens_decoder?: Record<string, { content: string }>;
  };
  config.model_max_length = maxLength;
  const decoder = Object.entries(config.added_tokens_decoder ?? {});
  config.added_tokens_decoder = Object.fromEntries(
    decoder.map(([id, token]) => [token.content === '<mask>' ? String(size - 1) : id, token]),
  );
  await writeFile(join(to, 'tokenizer_config.json'), JSON.stringify(config, null, 2));
  await writeFile(join(to, 'special_tokens_map.json'), await readFile(join(from, 'special_tokens_map.json')));
}
