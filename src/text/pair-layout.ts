import type { AddedToken } from './added-tokens.ts';
import type { EncodedPair } from './encoded-pair.ts';
import { asArray, asId, asObject, asText, invalidTokenizer, show } from './json-fields.ts';
import type { JsonObject } from './json-fields.ts';
import type { TextTokens } from './tokenizer-protocol.ts';

/** Special tokens around a pair, e.g. `<s>` query `</s></s>` document `</s>`. */
export interface PairLayout {
  readonly before: readonly number[];
  readonly between: readonly number[];
  readonly after: readonly number[];
}

/** Special tokens around a single text; Qwen has none. */
export interface SingleLayout {
  readonly before: readonly number[];
  readonly after: readonly number[];
}

/** How a pair is cut. */
export interface PairLimits {
  /** Most tokens of a pair, special tokens included. */
  readonly maxLength: number;
  /** Most tokens of the query when pairs are truncated: 3/4 of `maxLength`, rounded down. */
  readonly maxQueryLength: number;
  /** Most tokens of the document; default: what the query leaves. */
  readonly maxDocumentLength?: number | undefined;
}

/** Special tokens of a layout. */
export function specialCount(layout: PairLayout): number {
  return layout.before.length + layout.between.length + layout.after.length;
}

/**
 * FlagEmbedding's limits: the query alone is cut to 3/4 of the maximum, then the document to what remains.
 * @param maxLength at least 4 special tokens and one token
 */
export function pairLimits(maxLength: number, layout: PairLayout): PairLimits {
  return { maxLength, maxQueryLength: Math.min(Math.floor((maxLength * 3) / 4), maxLength - specialCount(layout)) };
}

/**
 * Puts a pair together, cutting the query and the document from their ends.
 * @param query    tokens of the query alone; like the document's, its ids may end at `maxLength`
 * @param document tokens of the document alone
 */
export function assemblePair(
  query: TextTokens,
  document: TextTokens,
  layout: PairLayout,
  limits: PairLimits,
): EncodedPair {
  const queryLength = Math.min(query.tokenCount, limits.maxQueryLength);
  const room = limits.maxLength - specialCount(layout) - queryLength;
  const documentLength = Math.min(document.tokenCount, room, limits.maxDocumentLength ?? room);
  const ids = new Int32Array(specialCount(layout) + queryLength + documentLength);
  let at = 0;
  const append = (part: ArrayLike<number>): void => {
    ids.set(part, at);
    at += part.length;
  };
  append(layout.before);
  append(query.ids.subarray(0, queryLength));
  append(layout.between);
  append(document.ids.subarray(0, documentLength));
  append(layout.after);
  return { ids, truncatedTokens: query.tokenCount - queryLength + document.tokenCount - documentLength };
}

/** Where a special token's id comes from when the tokenizer.json has no post-processor. */
export type FindToken = (content: string) => number;

/**
 * Reads the layout from `post_processor`, or without one from the names in tokenizer_config.json or special_tokens_map.json.
 * @param configs parsed files, the first one that names a token wins
 * @throws WgrankError `tokenizer-invalid`
 */
export function decodePairLayout(value: unknown, configs: readonly JsonObject[], find: FindToken): PairLayout {
  if (value === null || value === undefined) {
    const cls = find(tokenName(configs, ['cls_token', 'bos_token']));
    const sep = find(tokenName(configs, ['sep_token', 'eos_token']));
    return { before: [cls], between: [sep, sep], after: [sep] };
  }
  const processor = asObject(value, 'post_processor');
  if (processor['type'] === 'RobertaProcessing') {
    const cls = robertaId(processor, 'cls');
    const sep = robertaId(processor, 'sep');
    return { before: [cls], between: [sep, sep], after: [sep] };
  }
  if (processor['type'] === 'TemplateProcessing') return decodeTemplate(processor);
  throw invalidTokenizer(
    'post_processor',
    `type ${show(processor['type'])} is not supported (supported: RobertaProcessing, TemplateProcessing)`,
  );
}

/**
 * Reads the special tokens around a single text from `post_processor`; `ByteLevel` adds none.
 * @throws WgrankError `tokenizer-invalid`
 */
export function decodeSingleLayout(value: unknown): SingleLayout {
  if (value === null || value === undefined) return { before: [], after: [] };
  const processor = asObject(value, 'post_processor');
  switch (processor['type']) {
    case 'ByteLevel':
      return { before: [], after: [] };
    case 'Sequence': {
      const layouts = asArray(processor['processors'], 'post_processor.processors').map((step) => {
        // The Rust library applies several templates one inside the other; published files have one.
        if (asObject(step, 'post_processor.processors')['type'] === 'Sequence')
          throw invalidTokenizer('post_processor', 'a Sequence inside a Sequence is not supported');
        return decodeSingleLayout(step);
      });
      const adding = layouts.filter(({ before, after }) => before.length + after.length > 0);
      if (adding.length > 1) throw invalidTokenizer('post_processor', 'more than one template is not supported');
      return adding[0] ?? { before: [], after: [] };
    }
    case 'TemplateProcessing': {
      const { sequences, parts } = readTemplate(processor, 'single');
      const [before, after] = parts;
      if (sequences !== 'A' || before === undefined || after === undefined)
        throw invalidTokenizer('post_processor.single', `it holds the sequences ${show(sequences)} (expected A)`);
      return { before, after };
    }
    default:
      throw invalidTokenizer(
        'post_processor',
        `type ${show(processor['type'])} is not supported (supported: ByteLevel, Sequence, TemplateProcessing)`,
      );
  }
}

function robertaId(processor: JsonObject, key: string): number {
  const where = `post_processor.${key}`;
  return asId(asArray(processor[key], where)[1], where);
}

function decodeTemplate(processor: JsonObject): PairLayout {
  const { sequences, parts } = readTemplate(processor, 'pair');
  const [before, between, after] = parts;
  if (sequences !== 'AB' || before === undefined || between === undefined || after === undefined)
    throw invalidTokenizer('post_processor.pair', `it holds the sequences ${show(sequences)} (expected A, then B)`);
  return { before, between, after };
}

/** @returns the names of the sequences joined, and the special tokens before, between and after them */
function readTemplate(processor: JsonObject, key: 'single' | 'pair'): { sequences: string; parts: number[][] } {
  const where = `post_processor.${key}`;
  const specials = asObject(processor['special_tokens'], 'post_processor.special_tokens');
  const parts: number[][] = [[]];
  let sequences = '';
  for (const piece of asArray(processor[key], where)) {
    const { Sequence: sequence, SpecialToken: special } = asObject(piece, where);
    if (sequence !== undefined) {
      sequences += asText(asObject(sequence, where)['id'], where);
      parts.push([]);
      continue;
    }
    const name = asText(asObject(special, where)['id'], where);
    const known = Object.hasOwn(specials, name) ? specials[name] : undefined;
    parts
      .at(-1)!
      .push(...asArray(asObject(known, `${where} ${name}`)['ids'], `${where} ${name}`).map((id) => asId(id, where)));
  }
  return { sequences, parts };
}

function tokenName(configs: readonly JsonObject[], keys: readonly string[]): string {
  for (const config of configs) {
    for (const key of keys) {
      const value = config[key];
      if (typeof value === 'string') return value;
      if (typeof value === 'object' && value !== null) return asText(asObject(value, key)['content'], key);
    }
  }
  throw invalidTokenizer('post_processor', `it is missing, and no tokenizer_config.json names a ${keys.join(' or ')}`);
}

/** Finds the id of a special token by its name. @throws WgrankError `tokenizer-invalid` when no added token has it */
export function findAddedToken(tokens: readonly AddedToken[], content: string): number {
  const found = tokens.find((token) => token.content === content);
  if (found === undefined) throw invalidTokenizer('added_tokens', `${show(content)} is not among them`);
  return found.id;
}
