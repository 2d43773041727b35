import { WgrankError } from '../errors.ts';
import { formatSeconds } from './format-seconds.ts';
import type { MarkedText } from './marked-text.ts';
import { padTokens, visionEnd, visionStart, type PadPlace } from './typed-pads.ts';
import type { MediaPart } from './vl-prompt.ts';
import type { IdMask } from './vl-truncation.ts';

/** A prompt with one pad for each picture or clip. */
export interface SlottedText extends MarkedText {
  /** The pads that stand for media, ascending; other texts that read like pads lie in plain ranges. */
  readonly slots: readonly PadPlace[];
}

/** A prompt with one pad for each run of visual tokens. */
export interface RunText extends MarkedText {
  /** Visual tokens of each pad in order. */
  readonly runs: readonly number[];
}

/**
 * Puts a clip's groups in the place of its marks: per group its seconds, and marks of its own around a pad. The seconds are text,
 * which merges with the text before it, hence before tokenising.
 * source: transformers up to 5.9, `processing_qwen3_vl.py`
 */
export function expandClips({ text, plain, slots }: SlottedText, media: readonly MediaPart[]): RunText {
  if (media.every((part) => part.kind === 'image')) return { text, plain, runs: media.map(({ tokens }) => tokens) };
  const pieces: string[] = [];
  const moved: number[] = [];
  const runs: number[] = [];
  let at = 0;
  let shift = 0;
  let range = 0;
  const copyTo = (end: number): void => {
    pieces.push(text.slice(at, end));
    for (; range < plain.length && plain[range]! <= end; range += 1) moved.push(plain[range]! + shift);
    at = end;
  };
  for (const [i, part] of media.entries()) {
    if (part.kind === 'image') {
      runs.push(part.tokens);
      continue;
    }
    const start = slots[i]!.at - visionStart.length;
    copyTo(start);
    const groups = part.timestamps.map(
      (seconds) => `<${formatSeconds(seconds)} seconds>${visionStart}${padTokens.video}${visionEnd}`,
    );
    for (const group of groups) {
      pieces.push(group);
      runs.push(part.tokensPerGroup);
      shift += group.length;
    }
    at = start + clipMarks.length;
    shift -= clipMarks.length;
  }
  copyTo(text.length);
  return { text: pieces.join(''), plain: moved, runs };
}

const clipMarks = visionStart + padTokens.video + visionEnd;

/** True when a clip's pad has the marks around it that its groups replace. */
export function hasClipMarks(text: string, { at }: PadPlace): boolean {
  const start = at - visionStart.length;
  return start >= 0 && text.startsWith(clipMarks, start);
}

/**
 * Joins the parts of a prompt and repeats each pad as often as its run is long. Equal to tokenising the repeated pads, because special
 * tokens split the text.
 * @param pads ids of the pads
 * @throws WgrankError `tokenizer-invalid` when the tokenizer did not find the pads
 */
export function expandRuns(parts: readonly ArrayLike<number>[], runs: readonly number[], pads: IdMask): Int32Array {
  const short = parts.reduce((sum, part) => sum + part.length, 0);
  const expanded = new Int32Array(runs.reduce((sum, run) => sum + run - 1, short));
  let found = 0;
  let at = 0;
  for (const ids of parts) {
    for (let i = 0; i < ids.length; i += 1) {
      const id = ids[i]!;
      if (pads[id] === 1) {
        const run = runs[found++] ?? 0;
        expanded.fill(id, at, at + run);
        at += run;
      } else expanded[at++] = id;
    }
  }
  if (found !== runs.length)
    throw new WgrankError('tokenizer-invalid', 'tokenizer', `it finds ${found} pads where a prompt has ${runs.length}`);
  return expanded;
}
