import { WgrankError } from '../errors.ts';
import { PieceTrieBuilder, childOf } from './piece-trie.ts';
import type { PieceTrieTables } from './piece-trie.ts';
import { isWhiteSpace } from './white-space.ts';

/** A token that is cut out of the text before the model sees it, e.g. `<mask>`. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** Takes the white space before it, or after it, along. */
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  /** Looked for in the normalised text, in its normalised form. */
  readonly normalized: boolean;
  /** Part of a prompt's structure, not of its text: survives truncation in Qwen3-VL's prompts. */
  readonly special: boolean;
}

/** Cuts a text at its added tokens: leftmost first, the longest of those that begin at the same place. */
export class AddedTokenSplitter {
  readonly #trie: PieceTrieTables | null;
  readonly #tokens: readonly AddedToken[];

  /**
   * @param patterns what to look for, one per token
   * @throws WgrankError `tokenizer-invalid` when a pattern is empty or stands for two tokens
   */
  constructor(tokens: readonly AddedToken[], patterns: readonly string[]) {
    this.#tokens = tokens;
    const builder = new PieceTrieBuilder();
    const seen = new Set<string>();
    patterns.forEach((pattern, index) => {
      if (pattern === '' || seen.has(pattern)) {
        const where = `added token ${JSON.stringify(tokens[index]!.content)}`;
        const fault = pattern === '' ? 'is empty after normalisation' : 'has the same form as another one';
        throw new WgrankError('tokenizer-invalid', 'tokenizer.json', `${where} ${fault}`);
      }
      seen.add(pattern);
      const units = Uint16Array.from({ length: pattern.length }, (_, i) => pattern.charCodeAt(i));
      builder.add(units, units.length, index);
    });
    this.#trie = patterns.length === 0 ? null : builder.finish();
  }

  /**
   * Calls back for each part in order; parts are never empty. Linear in the text for tokens of bounded length.
   * @param plain ascending ranges `start, end, …` that no token may touch
   */
  split(
    text: string,
    onText: (part: string) => void,
    onToken: (id: number) => void,
    plain: readonly number[] = [],
  ): void {
    const trie = this.#trie;
    if (trie === null) {
      if (text !== '') onText(text);
      return;
    }
    let rest = 0;
    let range = 0;
    for (let at = 0; at < text.length;) {
      while (range < plain.length && plain[range + 1]! <= at) range += 2;
      const limit = plain[range] ?? text.length;
      if (at >= limit) {
        at = plain[range + 1]!;
        continue;
      }
      const match = longestMatch(trie, text, at, limit);
      if (match === null) {
        at += 1;
        continue;
      }
      const token = this.#tokens[match.index]!;
      let start = at;
      at = match.end;
      let stop = match.end;
      if (token.lstrip) {
        while (start > rest && isWhiteSpace(text.charCodeAt(start - 1))) start -= 1;
        start = Math.max(start, rest);
      }
      // White space that an earlier token took need not be walked again.
      if (token.rstrip) stop = Math.max(stop, rest);
      if (token.rstrip) while (stop < text.length && isWhiteSpace(text.charCodeAt(stop))) stop += 1;
      if (rest < start) onText(text.slice(rest, start));
      // A token of white space can lie inside what an earlier one took along: then nothing of it is left.
      if (start < stop) onToken(token.id);
      rest = stop;
    }
    if (rest < text.length) onText(text.slice(rest));
  }
}

function longestMatch(
  trie: PieceTrieTables,
  text: string,
  start: number,
  limit: number,
): { index: number; end: number } | null {
  let node = trie.root[text.charCodeAt(start)]!;
  let found: { index: number; end: number } | null = null;
  for (let end = start + 1; node !== 0; end += 1) {
    const mark = trie.nodes[node]!;
    if (mark > 1) found = { index: (mark >>> 1) - 1, end };
    if (end === limit) break;
    node = childOf(trie.slots, node, text.charCodeAt(end));
  }
  return found;
}
