import { readBpeModel } from './bpe-vocabulary.ts';
import type { ModelTables, TokenizerParts } from './exact-tokenizer.ts';
import { ExactTokenizer } from './exact-tokenizer.ts';
import { JsonCursor } from './json-cursor.ts';
import { asObject, invalidTokenizer, show } from './json-fields.ts';
import { decodePairLayout, decodeSingleLayout, findAddedToken } from './pair-layout.ts';
import type { PairLayout, SingleLayout } from './pair-layout.ts';
import { decodeAddedTokens, decodeNormalizer, decodePreTokenizer } from './tokenizer-sections.ts';
import { readUnigramModel } from './unigram-vocabulary.ts';

/** A key that is none of these stops the Rust library: it may be a misspelt step. */
const sectionNames = new Set([
  'version',
  'truncation',
  'padding',
  'added_tokens',
  'normalizer',
  'pre_tokenizer',
  'post_processor',
  'decoder',
  'model',
]);

/** A tokenizer.json, read: what every worker thread needs, in shared memory. */
export interface TokenizerFile {
  readonly parts: TokenizerParts;
  readonly layout: TokenLayout;
}

/** Special tokens that the post-processor adds: around pairs for Unigram models, around single texts for BPE models. */
export type TokenLayout = ({ readonly kind: 'pair' } & PairLayout) | ({ readonly kind: 'single' } & SingleLayout);

/**
 * Reads a tokenizer.json: of an XLM-RoBERTa model (Unigram with Precompiled, Replace, Strip, WhitespaceSplit and Metaspace) or of a
 * Qwen model (byte-level BPE with NFC and Qwen's pattern).
 * Its `truncation`, `padding` and `decoder` play no role: pairs and prompts are assembled and cut by wgrank.
 * @param bytes   the file, valid UTF-8
 * @param configs tokenizer_config.json and special_tokens_map.json, parsed, as far as they exist
 * @throws WgrankError `tokenizer-invalid` for everything that could make ids differ from the Rust library's
 */
export function readTokenizerJson(bytes: Uint8Array, configs: readonly unknown[]): TokenizerFile {
  const cursor = new JsonCursor(bytes, 'tokenizer.json');
  const sections = new Map<string, unknown>();
  let model: ModelTables | undefined;
  cursor.object((key) => {
    if (!sectionNames.has(key)) throw cursor.fault(`${show(key)} is not a section of a tokenizer.json,`);
    if (key === 'model' && cursor.peek() === 0x7b) model = readModel(cursor);
    else sections.set(key, cursor.value());
  });
  if (cursor.peek() !== 0 || cursor.at < bytes.length) throw cursor.fault('something behind the end of the object');
  if (model === undefined) throw invalidTokenizer('model', 'it is missing or not an object');
  const version = sections.get('version');
  if (version !== undefined && version !== '1.0')
    throw invalidTokenizer('version', `${show(version)} is not supported (expected "1.0")`);
  const addedTokens = decodeAddedTokens(sections.get('added_tokens'), {
    trie: model.tables.trie,
    pieceCount: model.kind === 'bpe' ? model.tables.pieceCount : model.tables.scores.length,
  });
  const parts: TokenizerParts = {
    model,
    addedTokens,
    normalizer: decodeNormalizer(sections.get('normalizer')),
    preTokenizer: decodePreTokenizer(sections.get('pre_tokenizer')),
  };
  if ((parts.preTokenizer.at(-1)?.kind === 'byteLevel') !== (model.kind === 'bpe'))
    throw invalidTokenizer('pre_tokenizer', '"ByteLevel" must be the last step for a BPE model, and for no other');
  // Finds out now, not in each thread, whether the added tokens can be told apart.
  void new ExactTokenizer(parts);
  const processor = sections.get('post_processor');
  const named = configs.map((config) => asObject(config, 'tokenizer_config.json'));
  if (model.kind === 'bpe') return { parts, layout: { kind: 'single', ...decodeSingleLayout(processor) } };
  const find = (content: string): number => findAddedToken(addedTokens, content);
  return { parts, layout: { kind: 'pair', ...decodePairLayout(processor, named, find) } };
}

/** Looks ahead for the type: without one, Unigram's vocabulary is a list and BPE's an object. */
function readModel(cursor: JsonCursor): ModelTables {
  const start = cursor.at;
  let type: unknown;
  let listed = true;
  cursor.object((key) => {
    if (key === 'type') type = cursor.value();
    else {
      if (key === 'vocab') listed = cursor.peek() !== 0x7b;
      cursor.skip();
    }
  });
  cursor.at = start;
  if (type === 'BPE' || (type === undefined && !listed)) return { kind: 'bpe', tables: readBpeModel(cursor) };
  return { kind: 'unigram', tables: readUnigramModel(cursor) };
}
