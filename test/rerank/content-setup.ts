import { setImmediate as turn } from 'node:timers/promises';
import { WgrankError } from '../../src/errors.ts';
import type { EncodedMedia, MediaSource } from '../../src/media/encoded-media.ts';
import { VlContentEncoder, type WindowOptions } from '../../src/rerank/content-encoder.ts';
import type { EnginePair } from '../../src/rerank/engine.ts';
import type { ContentPart } from '../../src/rerank/reranker.ts';
import type { EncodeOptions } from '../../src/text/encoded-pair.ts';
import type { PromptPart } from '../../src/text/vl-prompt.ts';
import { fakeVision, mediaOf } from '../support/fake-vision.ts';

/** A load that a test ends. */
interface Load {
  readonly source: MediaSource;
  readonly signal: AbortSignal;
  answer(media?: EncodedMedia): void;
  fail(reason: Error): void;
  ended: boolean;
}

interface Prompted {
  readonly query: readonly PromptPart[];
  readonly documents: readonly (readonly PromptPart[])[];
  readonly options: EncodeOptions;
}

export const nameOf = (source: MediaSource) => ('url' in source ? source.url : source.frames.join('+'));

/** `12x3` is a picture of 12 rows of 3 tokens; anything else has one. */
export function mediaFor(source: MediaSource): EncodedMedia {
  const [, rows = '1', columns = '1'] = /(\d+)x(\d+)/.exec(nameOf(source)) ?? [];
  const sized = { rows: Number(rows), columns: Number(columns) };
  const shade = [...nameOf(source)].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 251, 1);
  return mediaOf(shade, source.kind === 'image' ? sized : { ...sized, frames: 4 });
}

/** An encoder over a loader that answers at once, or when a test says so, and prompts that count their parts. */
export function setUp({ byHand = false } = {}) {
  const loads: Load[] = [];
  const prompted: Prompted[] = [];
  const closed: string[] = [];
  let failing: Error | undefined;
  const encoder = new VlContentEncoder({
    loader: {
      load: (source, signal) =>
        new Promise((resolve, reject) => {
          // What runs elsewhere does not end at once.
          const abort = () => void turn().then(() => load.fail(new WgrankError('cancelled', 'fake', 'aborted')));
          const end = () => {
            load.ended = true;
            signal!.removeEventListener('abort', abort);
          };
          const load: Load = {
            source,
            signal: signal!,
            ended: false,
            answer: (media = mediaFor(source)) => (end(), resolve(media)),
            fail: (reason) => (end(), reject(reason)),
          };
          loads.push(load);
          signal!.addEventListener('abort', abort, { once: true });
          if (signal!.aborted) abort();
          if (!byHand) load.answer();
        }),
      close: async () => void closed.push('loader'),
    },
    prompts: {
      prompt: 'fake prompt',
      encode: async (query, documents, options = {}) => {
        prompted.push({ query, documents, options });
        if (failing) throw failing;
        return documents.map((parts) => ({ ids: Int32Array.of(query.length, parts.length), truncatedTokens: 0 }));
      },
      close: async () => void closed.push('prompts'),
    },
    grid: fakeVision,
  });
  return { encoder, loads, prompted, closed, failPrompts: (reason: Error) => (failing = reason) };
}

export const options: WindowOptions = { windowTokens: 4, mostTokens: 100 };
export const text = (words: string): ContentPart => ({ type: 'text', text: words });
export const picture = (url: string): ContentPart => ({ type: 'image_url', image_url: { url } });
export const clip = (url: string | readonly string[], fps?: number | null): ContentPart => ({
  type: 'video_url',
  video_url: { url, ...(fps !== undefined && { fps }) },
});
export const pictures = (count: number) => Array.from({ length: count }, (_, i) => [picture(`p${i}`)]);

export async function collect(windows: AsyncIterable<readonly EnginePair[]>): Promise<(readonly EnginePair[])[]> {
  const all: (readonly EnginePair[])[] = [];
  for await (const window of windows) all.push(window);
  return all;
}

export async function turns(count = 5): Promise<void> {
  for (let i = 0; i < count; i++) await turn();
}
