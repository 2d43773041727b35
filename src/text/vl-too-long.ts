import { WgrankError } from '../errors.ts';

const tooLong = (detail: string): WgrankError => new WgrankError('input-too-long', '', detail);

/** In the words of SGLang. */
export const overLimit = (tokens: number, maxLength: number): WgrankError =>
  tooLong(`The input (${tokens} tokens) is longer than the model's context length (${maxLength} tokens).`);

/** @param visual tokens of pictures and clips among the special ones */
export function tooManySpecial(special: number, visual: number, maxLength: number): WgrankError {
  const limit = `which cannot be cut, more than the limit of ${maxLength}`;
  if (visual === 0)
    return tooLong(
      `The prompt's structure and the special tokens that the texts spell, such as <|im_end|>, are ${special} tokens ${limit} ` +
        '(send texts without them, start with --escape-special-tokens, or raise --max-length).',
    );
  const all =
    special === visual ? '' : `; with the special tokens of the prompt and its texts that is ${special} tokens`;
  return tooLong(
    `The pictures and clips of a query and a document take ${visual} tokens${all} ${limit} (raise --max-length, or send fewer or ` +
      'smaller pictures or fewer frames).',
  );
}

export function nothingLeft(side: 'query' | 'document', visual: number, maxLength: number): WgrankError {
  const others = side === 'query' ? 'The instruction' : 'The query and the instruction';
  return tooLong(
    `${others} and ${visual} tokens of pictures and clips take the ${maxLength} tokens of a prompt, and nothing of the ` +
      `${side} would remain (shorten them, raise --max-length, or send fewer or smaller pictures or fewer frames).`,
  );
}

/** A template that writes the query behind the document, too, and a query that fills a prompt. */
export const tooLongTwice = (maxLength: number): WgrankError =>
  tooLong(
    `The query and the instruction take the ${maxLength} tokens of a prompt, and the chat template repeats them behind the ` +
      'document (shorten them or raise --max-length).',
  );

/** UTF-16 units of query and instruction for each token of a prompt at the most. Qwen's longest token has 128. */
const unitsPerToken = 256;

/** Refuses what is certain to be more than twice too long before it is tokenised. */
export function refuseHuge(units: number, maxLength: number): void {
  if (units <= unitsPerToken * maxLength) return;
  throw tooLong(
    `The query and the instruction have ${units} characters, more than ${unitsPerToken} for each of the ${maxLength} tokens of a ` +
      'prompt (shorten them or raise --max-length).',
  );
}
