import { UnitBuffer } from './json-cursor.ts';
import type { JsonCursor } from './json-cursor.ts';
import { PieceTrieBuilder } from './piece-trie.ts';
import { readSerdeNumber } from './serde-number.ts';
import type { UnigramTables } from './unigram.ts';

/** A character that no piece covers costs this much more than the least probable piece. */
const unknownPenalty = 10;
/** Longest piece in UTF-16 units (sentencepiece's default is 16): it bounds the time per character. */
export const maxPieceUnits = 256;
/** Bytes of a tokenizer.json per trie node, about, in XLM-RoBERTa's. */
const bytesPerNode = 24;
const maxExpectedNodes = 2 ** 20;

/**
 * Reads the `model` object of a tokenizer.json into shared tables.
 * @throws WgrankError `tokenizer-invalid` when it is not a Unigram model with an unknown token
 */
export function readUnigramModel(cursor: JsonCursor): UnigramTables {
  let type: unknown;
  let unknownId: unknown;
  let byteFallback: unknown = false;
  let vocabulary: { trie: UnigramTables['trie']; scores: Float64Array } | undefined;
  cursor.object((key) => {
    if (key === 'vocab' && cursor.peek() === 0x5b) vocabulary = readVocabulary(cursor);
    else {
      const value = cursor.value();
      if (key === 'type') type = value;
      if (key === 'unk_id') unknownId = value;
      if (key === 'byte_fallback') byteFallback = value;
    }
  });
  // Files of 2020 have no type; a list of pairs is Unigram's.
  if ((type !== undefined && type !== 'Unigram') || vocabulary === undefined)
    throw cursor.fault(
      `model: type ${JSON.stringify(type)} with this vocabulary is not supported (expected Unigram), read`,
    );
  const { trie, scores } = vocabulary;
  if (typeof unknownId !== 'number' || !Number.isInteger(unknownId) || unknownId < 0 || unknownId >= scores.length)
    throw cursor.fault(`model: unk_id ${JSON.stringify(unknownId)} is not an id of the ${scores.length} pieces, read`);
  if (typeof byteFallback !== 'boolean')
    throw cursor.fault(`model: byte_fallback ${JSON.stringify(byteFallback)} is not a boolean, read`);
  let lowest = Infinity;
  for (const score of scores) if (score < lowest) lowest = score;
  return {
    trie,
    scores,
    unknownId,
    unknownScore: lowest - unknownPenalty,
    byteFallback,
  };
}

function readVocabulary(cursor: JsonCursor): { trie: UnigramTables['trie']; scores: Float64Array } {
  const builder = new PieceTrieBuilder(Math.min(Math.max(256, cursor.bytes.length / bytesPerNode), maxExpectedNodes));
  const text = new UnitBuffer();
  let scores = new Float64Array(1024);
  let count = 0;
  cursor.expect('[');
  if (!cursor.accept(']')) {
    do {
      cursor.expect('[');
      const length = cursor.stringUnits(text);
      if (length > maxPieceUnits)
        throw cursor.fault(`model: a piece of ${length} UTF-16 units (at most ${maxPieceUnits})`);
      cursor.expect(',');
      if (count === scores.length) {
        const grown = new Float64Array(count * 2);
        grown.set(scores);
        scores = grown;
      }
      scores[count] = readSerdeNumber(cursor);
      cursor.expect(']');
      builder.add(text.units, length, count);
      count += 1;
    } while (cursor.accept(','));
    cursor.expect(']');
  }
  const shared = new Float64Array(new SharedArrayBuffer(count * Float64Array.BYTES_PER_ELEMENT));
  shared.set(scores.subarray(0, count));
  return { trie: builder.finish(), scores: shared };
}
