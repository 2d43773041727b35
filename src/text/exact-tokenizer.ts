import { AddedTokenSplitter } from './added-tokens.ts';
import type { AddedToken } from './added-tokens.ts';
import { BpeModel } from './bpe.ts';
import type { BpeTables } from './bpe.ts';
import { composeNormalizer } from './normalizer.ts';
import type { NormalizerStep, NormalizeText } from './normalizer.ts';
import { pieceId } from './piece-trie.ts';
import type { PieceTrieTables } from './piece-trie.ts';
import { splitWords } from './pre-tokenizer.ts';
import type { PreTokenizerStep } from './pre-tokenizer.ts';
import { Model, Normalizer, PreTokenizer, Tokenizer } from './tokenizers-js.ts';
import type { TokenizerSeams } from './tokenizers-js.ts';
import { UnigramModel } from './unigram.ts';
import type { UnigramTables } from './unigram.ts';

/** A vocabulary in shared memory. */
export type ModelTables =
  | { readonly kind: 'unigram'; readonly tables: UnigramTables }
  | { readonly kind: 'bpe'; readonly tables: BpeTables };

/** Everything that turns text into ids, in a form that worker threads share: tables in shared memory, plain settings. */
export interface TokenizerParts {
  readonly model: ModelTables;
  readonly normalizer: readonly NormalizerStep[];
  readonly preTokenizer: readonly PreTokenizerStep[];
  readonly addedTokens: readonly AddedToken[];
}

class ExactNormalizer extends Normalizer {
  readonly #normalize: NormalizeText;

  constructor(steps: readonly NormalizerStep[]) {
    super({});
    this.#normalize = composeNormalizer(steps);
  }

  override normalize(text: string): string {
    return this.#normalize(text);
  }
}

class ExactPreTokenizer extends PreTokenizer {
  readonly #steps: readonly PreTokenizerStep[];

  constructor(steps: readonly PreTokenizerStep[]) {
    super();
    this.#steps = steps;
  }

  override pre_tokenize_text(text: string): string[] {
    return splitWords(text, this.#steps);
  }
}

/** The framework asks for ids by token; the trie answers without a second copy of the vocabulary. */
class PieceIds extends Map<string, number> {
  readonly #trie: PieceTrieTables;

  constructor(trie: PieceTrieTables) {
    super();
    this.#trie = trie;
  }

  override get(token: string): number | undefined {
    const id = pieceId(this.#trie, token);
    return id < 0 ? undefined : id;
  }
}

class ExactModel extends Model {
  readonly words: UnigramModel | BpeModel;

  constructor(model: ModelTables) {
    super({ type: model.kind });
    this.words = model.kind === 'bpe' ? new BpeModel(model.tables) : new UnigramModel(model.tables);
    this.tokens_to_ids = new PieceIds(model.tables.trie);
    if (model.kind === 'unigram') this.unk_token_id = model.tables.unknownId;
  }

  override encode(words: string[]): string[] {
    return words.flatMap((word) => this.words.pieces(word));
  }
}

/** The framework refuses to start without a model; this one is replaced. */
const placeholder = {
  added_tokens: [],
  normalizer: null,
  pre_tokenizer: null,
  post_processor: null,
  decoder: null,
  model: { type: 'Unigram', vocab: [['', 0]], unk_id: 0 },
};

/**
 * A tokenizer whose ids equal those of the Rust `tokenizers` 0.23.2. Its steps are plugged into the framework
 * `@huggingface/tokenizers`; the framework's own text loop is not used, because it takes a normalised `＜s＞` for the special
 * token, strips another set of white space, and makes a string of every token.
 */
export class ExactTokenizer {
  /** The framework's tokenizer with the exact steps: `seams.encode` gives the same ids for texts without added tokens. */
  readonly seams: TokenizerSeams;
  readonly #words: UnigramModel | BpeModel;
  readonly #raw: AddedTokenSplitter;
  readonly #normalized: AddedTokenSplitter;

  /** @throws WgrankError `tokenizer-invalid` when two added tokens cannot be told apart */
  constructor(parts: TokenizerParts) {
    const model = new ExactModel(parts.model);
    const normalizer = new ExactNormalizer(parts.normalizer);
    this.#words = model.words;
    this.seams = new Tokenizer(placeholder, {});
    this.seams.normalizer = normalizer;
    this.seams.pre_tokenizer = new ExactPreTokenizer(parts.preTokenizer);
    this.seams.model = model;
    const raw = parts.addedTokens.filter((token) => !token.normalized);
    const normalized = parts.addedTokens.filter((token) => token.normalized);
    this.#raw = new AddedTokenSplitter(
      raw,
      raw.map((token) => token.content),
    );
    this.#normalized = new AddedTokenSplitter(
      normalized,
      normalized.map((token) => normalizer(token.content)),
    );
  }

  /**
   * Ids of a text without special tokens around it; special tokens that the text spells are recognised, as HF does.
   * A lone surrogate counts as U+FFFD, which is what encoding it as UTF-8 gives. Linear in the text, n·log n in a BPE word.
   * @param plain ranges of the text in which nothing is a special token, as `start, end, start, end, …`
   */
  encode(text: string, plain: readonly number[] = []): number[] {
    const ids: number[] = [];
    const { normalizer, pre_tokenizer: preTokenizer } = this.seams;
    const pushId = (id: number): void => void ids.push(id);
    const encodeNormalized = (part: string): void => {
      for (const word of preTokenizer!(part)) this.#words.appendIds(word, ids);
    };
    this.#raw.split(
      text.replace(/\p{Surrogate}/gu, '\ufffd'),
      (part) => this.#normalized.split(normalizer!(part), encodeNormalized, pushId),
      pushId,
      plain,
    );
    return ids;
  }
}
