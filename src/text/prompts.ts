import type { Pattern } from './marked-text.ts';

/** A prompt that wgrank knows by heart: data, so that another family is another entry. */
export interface PromptFamily {
  /** Parts that are tokenised apart; one of them has the place of the document. `ask`: the request has an instruction. */
  readonly ask: readonly Pattern[];
  /** The same without one: the default stands in it as text. */
  readonly plain: readonly Pattern[];
  /** Texts lose white space at both ends, as Python's `strip` takes it. */
  readonly strip: boolean;
  /** Tokens whose logits make the score, yes − no; without `no` that of `yes` alone. */
  readonly answers: { readonly yes: string; readonly no: string | null };
}

const instruct = { slot: 'instruct' } as const;
const query = { slot: 'query' } as const;
const document = { slot: 'document' } as const;

/** Qwen's turns. */
const turn = (role: string, text = ''): string => `<|im_start|>${role}\n${text}`;
const endOfTurn = '<|im_end|>\n';

const judge =
  'Judge whether the Document meets the requirements based on the Query and the Instruct provided. Note that the answer ' +
  'can only be "yes" or "no".';
const qwen3Parts = (instruction: string | typeof instruct): readonly Pattern[] => [
  [turn('system', judge) + endOfTurn + turn('user')],
  ['<Instruct>: ', instruction, '\n<Query>: ', query, '\n<Document>: ', document],
  [endOfTurn + turn('assistant', '<think>\n\n</think>\n\n')],
];

const relevance =
  'You are a search relevance expert who evaluates how well documents match search queries. For each query-document pair, ' +
  'carefully analyze the semantic relationship between them, then provide your binary relevance judgment (0 for not ' +
  'relevant, 1 for relevant).\nRelevance:';
const mxbaiParts = (...instruction: Pattern): readonly Pattern[] => [
  [turn('system', 'You are Qwen, created by Alibaba Cloud. You are a helpful assistant.') + endOfTurn + turn('user')],
  [...instruction, 'query: ', query],
  ['\n'],
  ['document: ', document],
  ['\n'],
  [relevance],
  [endOfTurn + turn('assistant')],
];

const zerankParts: readonly Pattern[] = [
  [turn('system')],
  [query, endOfTurn + turn('user'), document, endOfTurn + turn('assistant')],
];

/** Tokenised whole: around pictures the vocabulary splits anyway. No line break before `<Query>:`, no space behind the colons. */
const qwen3VlParts = (instruction: string | typeof instruct): readonly [Pattern] => [
  [
    turn('system', judge) + endOfTurn + turn('user', '<Instruct>: '),
    instruction,
    '<Query>:',
    query,
    '\n<Document>:',
    document,
    endOfTurn + turn('assistant'),
  ],
];

export const promptFamilies = {
  /** source: QwenLM/Qwen3-Embedding, the model card's transformers example: with the think block. */
  qwen3: {
    ask: qwen3Parts(instruct),
    plain: qwen3Parts('Given a web search query, retrieve relevant passages that answer the query'),
    strip: false,
    answers: { yes: 'yes', no: 'no' },
  },
  /** source: QwenLM/Qwen3-VL-Embedding `qwen3_vl_reranker.py`; sglang `examples/chat_template/qwen3_vl_reranker.jinja`, equal bytes */
  'qwen3-vl': {
    ask: qwen3VlParts(instruct),
    plain: qwen3VlParts('Given a search query, retrieve relevant candidates that answer the query.'),
    strip: false,
    answers: { yes: 'yes', no: 'no' },
  },
  /** source: mixedbread-ai/mxbai-rerank `mxbai_rerank_v2.py` */
  'mxbai-rerank-v2': {
    ask: mxbaiParts('instruction: ', instruct, '\n'),
    plain: mxbaiParts(),
    strip: false,
    answers: { yes: '1', no: '0' },
  },
  /** Has no place for an instruction. source: the zerank-1 repositories' `modeling_zeranker.py` */
  zerank: { ask: zerankParts, plain: zerankParts, strip: true, answers: { yes: 'Yes', no: null } },
} as const satisfies Readonly<Record<string, PromptFamily>>;

export type PromptFamilyName = keyof typeof promptFamilies;

/** What is known of a checkpoint without its weights. */
export interface CheckpointFacts {
  /** `architectures[0]` of config.json. */
  readonly architecture: string;
  /** `1_LogitScore/config.json` names one token only: its logit is the score. */
  readonly singleToken: boolean;
}

/** The family of a decoder that brings no reranker template of its own. */
export function familyOf({ architecture, singleToken }: CheckpointFacts): PromptFamilyName {
  if (architecture.startsWith('Qwen3VL')) return 'qwen3-vl';
  if (architecture === 'Qwen2ForCausalLM') return 'mxbai-rerank-v2';
  return singleToken ? 'zerank' : 'qwen3';
}
