import type { ErrorCode } from '../errors.ts';
import type { EncodedMedia } from './encoded-media.ts';
import type { MediaRules } from './media-rules.ts';

/** A picture or clip as it is encoded: a file, or a clip as files of pictures. */
export type MediaTask =
  | { readonly kind: 'image' | 'video'; readonly bytes: Uint8Array }
  | { readonly kind: 'video'; readonly pictures: readonly Uint8Array[]; readonly fps?: number | undefined };

/** What the process is told: first the rules, then one task after the other. */
export type MediaCommand =
  | { readonly kind: 'load'; readonly rules: MediaRules; readonly applyExif: boolean }
  | { readonly kind: 'decode'; readonly id: number; readonly task: MediaTask; readonly limitMs: number };

/** What it says. */
export type MediaReport =
  | { readonly kind: 'ready' }
  /** The task has arrived: from now on the process's end is the task's fault. */
  | { readonly kind: 'started'; readonly id: number }
  /** The machine gave the process too little time; it goes on. */
  | { readonly kind: 'starved'; readonly id: number }
  /** The time is up, and a decoder cannot be stopped from inside. */
  | { readonly kind: 'late'; readonly id: number; readonly limitMs: number }
  | { readonly kind: 'decoded'; readonly id: number; readonly media: EncodedMedia }
  | { readonly kind: 'failed'; readonly id: number; readonly code: ErrorCode; readonly message: string }
  /** Something without a code, which is no fault of the input; its words may be a decoder's and stay where they are. */
  | { readonly kind: 'broken'; readonly id: number };

/** Processor time, of a clip's pictures each. A picture of 12 megapixels takes a third of a second. */
export const pictureLimitMs = 2000;
/** Of a whole clip: hundreds of frames are decoded and resized one by one. */
const clipLimitMs = 30_000;

export const timeLimit = (task: MediaTask): number => (task.kind === 'image' ? pictureLimitMs : clipLimitMs);

/** The files of a task that are pictures. */
export function picturesOf(task: MediaTask): readonly Uint8Array[] {
  if ('pictures' in task) return task.pictures;
  return task.kind === 'image' ? [task.bytes] : [];
}

/** Encoded bytes of a task. */
export function taskBytes(task: MediaTask): number {
  return 'bytes' in task ? task.bytes.length : task.pictures.reduce((sum, picture) => sum + picture.length, 0);
}
