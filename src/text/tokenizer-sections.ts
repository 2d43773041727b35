import type { AddedToken } from './added-tokens.ts';
import { decodeCharsmap } from './charsmap.ts';
import { asArray, asBoolean, asId, asObject, asText, invalidTokenizer, show } from './json-fields.ts';
import type { JsonObject } from './json-fields.ts';
import type { NormalizerStep } from './normalizer.ts';
import { pieceId } from './piece-trie.ts';
import type { PieceTrieTables } from './piece-trie.ts';
import type { PreTokenizerStep } from './pre-tokenizer.ts';
import { qwenPattern } from './qwen-pattern.ts';
import { maxPieceUnits } from './unigram-vocabulary.ts';

/** The only pattern of `Replace` that wgrank knows; any other one could backtrack. */
const spacesPattern = ' {2,}';
/** Steps of a normaliser or pre-tokeniser; published files have at most 3. */
const maxSteps = 32;

/**
 * Flattens the `normalizer` of a tokenizer.json. Whatever the file says, normalising takes linear time and space.
 * @throws WgrankError `tokenizer-invalid`
 */
export function decodeNormalizer(value: unknown): NormalizerStep[] {
  const steps = normalizerSteps(value, 'normalizer');
  if (steps.length > maxSteps)
    throw invalidTokenizer('normalizer', `it has ${steps.length} steps (at most ${maxSteps})`);
  if (steps.filter((step) => step.kind === 'precompiled').length > 1)
    throw invalidTokenizer('normalizer', 'more than one Precompiled is not supported');
  return steps;
}

function normalizerSteps(value: unknown, where: string): NormalizerStep[] {
  if (value === null || value === undefined) return [];
  const step = asObject(value, where);
  switch (step['type']) {
    case 'Sequence':
      return asArray(step['normalizers'], `${where}.normalizers`).flatMap((part, index) =>
        normalizerSteps(asObject(part, `${where}[${index}]`), `${where}[${index}]`),
      );
    case 'Precompiled':
      return [
        {
          kind: 'precompiled',
          charsmap: decodeCharsmap(asText(step['precompiled_charsmap'], `${where}.precompiled_charsmap`)),
        },
      ];
    case 'NFC':
      return [{ kind: 'nfc' }];
    case 'Strip':
      return [
        {
          kind: 'strip',
          left: asBoolean(step['strip_left'], `${where}.strip_left`),
          right: asBoolean(step['strip_right'], `${where}.strip_right`),
        },
      ];
    case 'Replace':
      return [decodeReplace(step, where)];
    default:
      throw invalidTokenizer(
        where,
        `type ${show(step['type'])} is not supported (supported: NFC, Precompiled, Replace, Sequence, Strip)`,
      );
  }
}

function decodeReplace(step: JsonObject, where: string): NormalizerStep {
  const pattern = asObject(step['pattern'], `${where}.pattern`);
  const content = asText(step['content'], `${where}.content`);
  const [kind, ...others] = Object.keys(pattern);
  const literal = kind === 'String' ? asText(pattern['String'], `${where}.pattern`) : '';
  const spaces = pattern['Regex'] === spacesPattern;
  if (others.length > 0 || (literal === '' && !spaces))
    throw invalidTokenizer(
      `${where}.pattern`,
      `${show(pattern)} is not supported (a non-empty String, or the Regex "${spacesPattern}")`,
    );
  // Steps that lengthen a text could multiply.
  const replaced = spaces ? 2 : literal.length;
  if (content.length > replaced)
    throw invalidTokenizer(
      where,
      `content ${show(content)} is longer than the ${replaced} UTF-16 units that it replaces`,
    );
  return spaces ? { kind: 'replaceSpaces', content } : { kind: 'replace', literal, content };
}

/** Flattens the `pre_tokenizer` of a tokenizer.json. @throws WgrankError `tokenizer-invalid` */
export function decodePreTokenizer(value: unknown): PreTokenizerStep[] {
  const steps = preTokenizerSteps(value, 'pre_tokenizer');
  if (steps.length > maxSteps)
    throw invalidTokenizer('pre_tokenizer', `it has ${steps.length} steps (at most ${maxSteps})`);
  return steps;
}

function preTokenizerSteps(value: unknown, where: string): PreTokenizerStep[] {
  if (value === null || value === undefined) return [];
  const step = asObject(value, where);
  switch (step['type']) {
    case 'Sequence':
      return asArray(step['pretokenizers'], `${where}.pretokenizers`).flatMap((part, index) =>
        preTokenizerSteps(asObject(part, `${where}[${index}]`), `${where}[${index}]`),
      );
    case 'WhitespaceSplit':
      return [{ kind: 'whitespaceSplit' }];
    case 'Metaspace':
      return [decodeMetaspace(step, where)];
    case 'Split':
      return [decodeSplit(step, where)];
    case 'ByteLevel':
      return [decodeByteLevel(step, where)];
    default:
      throw invalidTokenizer(
        where,
        `type ${show(step['type'])} is not supported (supported: ByteLevel, Metaspace, Sequence, Split, WhitespaceSplit)`,
      );
  }
}

function decodeMetaspace(step: JsonObject, where: string): PreTokenizerStep {
  const mark = asText(step['replacement'], `${where}.replacement`);
  if (Array.from(mark).length !== 1)
    throw invalidTokenizer(`${where}.replacement`, `${show(mark)} is not one character`);
  const scheme = step['prepend_scheme'] === undefined ? 'always' : step['prepend_scheme'];
  if (scheme !== 'always' && scheme !== 'never')
    throw invalidTokenizer(`${where}.prepend_scheme`, `${show(scheme)} is not supported (supported: always, never)`);
  const prefix = asBoolean(step['add_prefix_space'] ?? scheme === 'always', `${where}.add_prefix_space`);
  if (!prefix && scheme === 'always')
    throw invalidTokenizer(where, 'add_prefix_space false does not fit prepend_scheme always (the default)');
  return {
    kind: 'metaspace',
    mark,
    prepend: scheme === 'always',
    split: asBoolean(step['split'] ?? true, `${where}.split`),
  };
}

/** Patterns are known by their text; any other one could backtrack. */
function decodeSplit(step: JsonObject, where: string): PreTokenizerStep {
  const pattern = asObject(step['pattern'], `${where}.pattern`);
  if (Object.keys(pattern).length !== 1 || pattern['Regex'] !== qwenPattern)
    throw invalidTokenizer(
      `${where}.pattern`,
      `${show(pattern)} is not supported (supported: the Regex of Qwen2 and 3)`,
    );
  const { behavior, invert } = step;
  if (behavior !== 'Isolated' || asBoolean(invert ?? false, `${where}.invert`))
    throw invalidTokenizer(where, `behavior ${show(behavior)}, invert ${show(invert)} (supported: "Isolated", false)`);
  return { kind: 'qwenSplit' };
}

function decodeByteLevel(step: JsonObject, where: string): PreTokenizerStep {
  // Both are true when they are missing, as in the Rust library.
  for (const key of ['add_prefix_space', 'use_regex'])
    if (asBoolean(step[key] ?? true, `${where}.${key}`))
      throw invalidTokenizer(where, `"ByteLevel" with ${key} true is not supported (expected false)`);
  return { kind: 'byteLevel' };
}

/** What a model knows about its pieces, whatever its kind. */
export interface Vocabulary {
  readonly trie: PieceTrieTables;
  readonly pieceCount: number;
}

/**
 * Decodes `added_tokens`. The Rust library takes ids from the vocabulary, and numbers new tokens after it; a file that says
 * otherwise is refused.
 * @throws WgrankError `tokenizer-invalid`
 */
export function decodeAddedTokens(value: unknown, vocabulary: Vocabulary): AddedToken[] {
  const tokens: AddedToken[] = [];
  let nextId = vocabulary.pieceCount;
  for (const [index, entry] of asArray(value ?? [], 'added_tokens').entries()) {
    const where = `added_tokens[${index}]`;
    const token = asObject(entry, where);
    const content = asText(token['content'], `${where}.content`);
    const id = asId(token['id'], `${where}.id`);
    if (content === '' || content.length > maxPieceUnits)
      throw invalidTokenizer(
        `${where}.content`,
        `it has ${content.length} UTF-16 units (expected 1 to ${maxPieceUnits})`,
      );
    if (tokens.some((other) => other.content === content)) throw invalidTokenizer(where, `${content} comes twice`);
    if (asBoolean(token['single_word'], `${where}.single_word`))
      throw invalidTokenizer(`${where}.single_word`, 'true is not supported');
    let expected = pieceId(vocabulary.trie, content);
    if (expected < 0) {
      expected = nextId;
      nextId += 1;
    }
    if (id !== expected)
      throw invalidTokenizer(`${where}.id`, `${content} has id ${id}, but the vocabulary gives it ${expected}`);
    tokens.push({
      id,
      content,
      lstrip: asBoolean(token['lstrip'], `${where}.lstrip`),
      rstrip: asBoolean(token['rstrip'], `${where}.rstrip`),
      normalized: asBoolean(token['normalized'], `${where}.normalized`),
      special: asBoolean(token['special'], `${where}.special`),
    });
  }
  return tokens;
}
