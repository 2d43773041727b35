import type { TokenizerParts } from './exact-tokenizer.ts';
import { ExactTokenizer } from './exact-tokenizer.ts';
import { JsonCursor } from './json-cursor.ts';
import { asObject, invalidTokenizer, show } from './json-fields.ts';
import { decodePairLayout, findAddedToken } from './pair-layout.ts';
import type { PairLayout } from './pair-layout.ts';
import { decodeAddedTokens, decodeNormalizer, decodePreTokenizer } from './tokenizer-sections.ts';
import type { UnigramTables } from './unigram.ts';
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
  readonly layout: PairLayout;
}

/**
 * Reads a tokenizer.json of an XLM-RoBERTa model: Unigram with Precompiled, Replace, Strip, WhitespaceSplit and Metaspace.
 * Its `truncation`, `padding` and `decoder` play no role: pairs are assembled and cut by wgrank.
 * @param bytes   the file, valid UTF-8
 * @param configs tokenizer_config.json and special_tokens_map.json, parsed, as far as they exist
 * @throws WgrankError `tokenizer-invalid` for everything that could make ids differ from the Rust library's
 */
export function readTokenizerJson(bytes: Uint8Array, configs: readonly unknown[]): TokenizerFile {
  const cursor = new JsonCursor(bytes, 'tokenizer.json');
  const sections = new Map<string, unknown>();
  let unigram: UnigramTables | undefined;
  cursor.object((key) => {
    if (!sectionNames.has(key)) throw cursor.fault(`${show(key)} is not a section of a tokenizer.json,`);
    if (key === 'model' && cursor.peek() === 0x7b) unigram = readUnigramModel(cursor);
    else sections.set(key, cursor.value());
  });
  if (cursor.peek() !== 0 || cursor.at < bytes.length) throw cursor.fault('something behind the end of the object');
  if (unigram === undefined) throw invalidTokenizer('model', 'it is missing or not an object');
  const version = sections.get('version');
  if (version !== undefined && version !== '1.0')
    throw invalidTokenizer('version', `${show(version)} is not supported (expected "1.0")`);
  const addedTokens = decodeAddedTokens(sections.get('added_tokens'), unigram);
  const parts: TokenizerParts = {
    unigram,
    addedTokens,
    normalizer: decodeNormalizer(sections.get('normalizer')),
    preTokenizer: decodePreTokenizer(sections.get('pre_tokenizer')),
  };
  // Finds out now, not in each thread, whether the added tokens can be told apart.
  void new ExactTokenizer(parts);
  const layout = decodePairLayout(
    sections.get('post_processor'),
    configs.map((config) => asObject(config, 'tokenizer_config.json')),
    (content) => findAddedToken(addedTokens, content),
  );
  return { parts, layout };
}
