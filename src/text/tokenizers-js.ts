import * as library from '@huggingface/tokenizers';

/** A step of the framework that is called like a function. */
export interface NormalizerSeam {
  (text: string): string;
  normalize(text: string): string;
}

export interface PreTokenizerSeam {
  (text: string): string[];
  pre_tokenize_text(text: string): string[];
}

export interface ModelSeam {
  (words: string[]): string[];
  tokens_to_ids: Map<string, number>;
  vocab: string[];
  unk_token_id?: number | undefined;
  encode(words: string[]): string[];
}

/** The framework's tokenizer: three replaceable steps between a text and its tokens. */
export interface TokenizerSeams {
  normalizer: NormalizerSeam | null;
  pre_tokenizer: PreTokenizerSeam | null;
  model: ModelSeam;
  encode(text: string, options?: { add_special_tokens?: boolean }): { ids: number[]; tokens: string[] };
}

interface TokenizersLibrary {
  Normalizer: abstract new (config: object) => NormalizerSeam;
  PreTokenizer: abstract new () => PreTokenizerSeam;
  Model: abstract new (config: object) => ModelSeam;
  Tokenizer: new (tokenizer: object, config: object) => TokenizerSeams;
}

// The package's own declarations use relative paths without extension, which `nodenext` does not resolve: what wgrank
// uses of 0.2.0 is declared above.
export const { Normalizer, PreTokenizer, Model, Tokenizer } = library as unknown as TokenizersLibrary;
