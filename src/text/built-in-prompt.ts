import { fillPattern, type Pattern, type PromptTexts } from './marked-text.ts';
import { promptFamilies, type PromptFamily, type PromptFamilyName } from './prompts.ts';
import type { PromptSource } from './prompt-source.ts';
import type { TokenizerInput } from './tokenizer-protocol.ts';

/** Ids of texts, all of them. */
export type TokenizeWhole = (texts: readonly TokenizerInput[], signal?: AbortSignal) => Promise<readonly number[][]>;

/** Prompts of a family that wgrank knows by heart. Parts without the document are tokenised once per query. */
export async function builtInPrompt(
  name: PromptFamilyName,
  tokenize: TokenizeWhole,
  escape: boolean,
): Promise<PromptSource> {
  const family: PromptFamily = promptFamilies[name];
  const constants = [...family.ask, ...family.plain].filter(isConstant).map((part) => part.join(''));
  const constantIds = await tokenize(constants);
  const known = new Map(constants.map((text, i) => [text, constantIds[i]!]));
  const clean = (text: string): string => (family.strip ? stripLikePython(text) : text);
  return {
    name: `built in: ${name}`,
    close: async () => undefined,
    async frame(query, instruct, signal) {
      const parts = instruct ? family.ask : family.plain;
      const at = parts.findIndex(hasDocument);
      const texts: PromptTexts = { query: clean(query), document: '', instruct };
      const asked = parts.filter((part) => !isConstant(part) && !hasDocument(part));
      const askedIds = await tokenize(
        asked.map((part) => fillPattern(part, texts, escape)),
        signal,
      );
      const ids = parts.map((part) => known.get(part.join('')) ?? askedIds[asked.indexOf(part)] ?? []);
      return {
        before: ids.slice(0, at).flat(),
        after: ids.slice(at + 1).flat(),
        texts: async (documents) =>
          documents.map((document) => fillPattern(parts[at]!, { ...texts, document: clean(document) }, escape)),
      };
    },
  };
}

const isConstant = (part: Pattern): boolean => part.every((piece) => typeof piece === 'string');

const hasDocument = (part: Pattern): boolean =>
  part.some((piece) => typeof piece !== 'string' && piece.slot === 'document');

/** Python's `str.strip`: it knows U+001C to U+001F and U+0085, and not U+FEFF. */
function stripLikePython(text: string): string {
  // oxlint-disable-next-line no-control-regex -- the set holds four control characters
  const blank = /[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/;
  let start = 0;
  let end = text.length;
  while (start < end && blank.test(text[start]!)) start += 1;
  while (end > start && blank.test(text[end - 1]!)) end -= 1;
  return text.slice(start, end);
}
