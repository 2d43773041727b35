import { ExactTokenizer } from './exact-tokenizer.ts';
import { pieceId } from './piece-trie.ts';
import { readTokenizerFolder } from './read-tokenizer-node.ts';

/**
 * Ids of words that a model answers with, such as `yes` and `no`: the word's one token, else its entry in the vocabulary.
 * source: sglang `serving_rerank.py`, which falls back to 9693 and 2152 where this gives undefined
 * @throws WgrankError `tokenizer-invalid`
 */
export async function readTokenIds(modelDir: string, words: readonly string[]): Promise<(number | undefined)[]> {
  const { parts } = await readTokenizerFolder(modelDir);
  const tokenizer = new ExactTokenizer(parts);
  return words.map((word) => {
    const ids = tokenizer.encode(word);
    const id = ids.length === 1 ? ids[0]! : pieceId(parts.model.tables.trie, word);
    return id < 0 ? undefined : id;
  });
}
