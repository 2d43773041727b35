/**
 * The process that decodes pictures and clips. A process and not a thread: native decoders read what strangers send, and one that
 * crashes or hangs must not take the server with it. Started by `MediaProcess`.
 */
import { createHash } from 'node:crypto';
import process from 'node:process';

import { WgrankError } from '../errors.ts';
import { resizeBicubic } from './bicubic.ts';
import { clipOfPictures } from './clip-of-pictures.ts';
import { decodePicture } from './decode-picture-node.ts';
import type { EncodedMedia } from './encoded-media.ts';
import { pictureLimitMs, type MediaCommand, type MediaReport, type MediaTask } from './media-protocol.ts';
import type { MediaRules } from './media-rules.ts';
import { smartResizeImage } from './smart-resize.ts';

// Ctrl-C and `systemctl stop` signal the whole group; only the parent decides when decoding may end.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);
process.on('disconnect', () => process.exit(0));

let loaded: { readonly rules: MediaRules; readonly applyExif: boolean } | undefined;

/** Above this much, buffers of the last task are given back before the next one comes. */
const keptBytes = 16 * 2 ** 20;
/** The limit is processor time: a busy machine is no fault of the picture. In wall time it is this many times as long. */
const patience = 4;
/** How often a process that is nearly through its limit is looked at. */
const closestLookMs = 50;

const report = (message: MediaReport): void => void process.send?.(message);

async function encode(id: number, task: MediaTask): Promise<EncodedMedia> {
  const { rules, applyExif } = loaded!;
  if ('bytes' in task) {
    if (task.kind === 'image') return finish('image', await encodePicture(task.bytes, rules, applyExif));
    // Demuxers are large and pictures need none.
    const { decodeClip } = await import('./decode-clip-node.ts');
    return finish('video', await decodeClip(task.bytes, rules));
  }
  const decodeWatched = (bytes: Uint8Array) => watched(id, pictureLimitMs, () => decodePicture(bytes, { applyExif }));
  const pictures = task.pictures.map((bytes) => () => decodeWatched(bytes));
  return finish('video', await clipOfPictures(pictures, task.fps, rules));
}

type Pixels = Omit<EncodedMedia, 'kind' | 'hash'>;

async function encodePicture(bytes: Uint8Array, rules: MediaRules, applyExif: boolean): Promise<Pixels> {
  const { rgb, width, height } = await decodePicture(bytes, { applyExif });
  const to = smartResizeImage(height, width, { factor: rules.patchSize * rules.mergeSize, ...rules.image });
  return { rgb: resizeBicubic(rgb, width, height, to.width, to.height), frames: 1, ...to };
}

function finish(kind: EncodedMedia['kind'], pixels: Pixels): EncodedMedia {
  const { rgb, frames, height, width } = pixels;
  const hash = createHash('sha256').update(`${kind} ${frames} ${height} ${width}\n`).update(rgb).digest('hex');
  return { kind, ...pixels, hash };
}

/** Tells the parent when the time is up, and while the machine does not let the process run. */
function watch(id: number, limitMs: number): () => void {
  const before = process.cpuUsage();
  const started = performance.now();
  let timer: NodeJS.Timeout;
  const look = (): void => {
    const { user, system } = process.cpuUsage(before);
    const leftMs = limitMs - (user + system) / 1000;
    const isLate = leftMs <= 0 || performance.now() - started > patience * limitMs;
    if (isLate) return report({ kind: 'late', id, limitMs });
    report({ kind: 'starved', id });
    timer = setTimeout(look, Math.max(closestLookMs, leftMs));
  };
  timer = setTimeout(look, limitMs);
  return () => clearTimeout(timer);
}

async function watched<T>(id: number, limitMs: number, work: () => Promise<T>): Promise<T> {
  const stop = watch(id, limitMs);
  try {
    return await work();
  } finally {
    stop();
  }
}

async function decode(id: number, task: MediaTask, limitMs: number): Promise<void> {
  report({ kind: 'started', id });
  try {
    report({ kind: 'decoded', id, media: await watched(id, limitMs, () => encode(id, task)) });
  } catch (error) {
    if (error instanceof WgrankError) report({ kind: 'failed', id, code: error.code, message: error.message });
    else report({ kind: 'broken', id });
  }
  if (process.memoryUsage().arrayBuffers > keptBytes) setImmediate(() => globalThis.gc?.());
}

process.on('message', (command: MediaCommand) => {
  if (command.kind === 'load') {
    loaded = command;
    report({ kind: 'ready' });
  } else void decode(command.id, command.task, command.limitMs);
});
