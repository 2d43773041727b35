import { WgrankError } from '../errors.ts';
import type { EncodedMedia, MediaLoader, MediaSource } from '../media/encoded-media.ts';
import { Slots } from '../media/slots.ts';
import { cancelled } from '../media/source-limits.ts';
import type { PatchGrid } from '../nn/visual-batch.ts';
import type { EncodeOptions, PairEncoder } from '../text/encoded-pair.ts';
import type { PromptPart, VlPromptEncoder } from '../text/vl-prompt.ts';
import type { EnginePair } from './engine.ts';
import { RecurringMedia } from './recurring-media.ts';
import type { Content, ContentPart } from './reranker.ts';

export interface WindowOptions extends EncodeOptions {
  /** Visual tokens at which a window is full, and the most that one pair may have. */
  readonly windowTokens: number;
  readonly mostTokens: number;
}

/** Turns requests with pictures into pairs, a window of documents at a time: pixels of a whole request never lie in memory at once. */
export interface ContentEncoder {
  /** What to call the prompt in reports. */
  readonly prompt?: string;
  /**
   * Encodes one query with each document, in the documents' order.
   * @throws WgrankError what `MediaLoader.load` and `VlPromptEncoder.encode` throw
   */
  windows(query: Content, documents: readonly Content[], options: WindowOptions): AsyncIterable<readonly EnginePair[]>;
  close(): Promise<void>;
}

/** What puts a request into pairs: texts alone, or parts. */
export type RequestEncoder = PairEncoder | ContentEncoder;

/** Documents of a window at the most. */
const windowDocuments = 128;
/** Documents whose pictures are read and decoded while others are waited for. */
const lookAhead = 2;
/** Requests with pictures that are worked on at a time: each may hold the pixels of a few windows. The others wait in order. */
const requestsAtOnce = 4;
/** Pixels of pictures that a request shows several times, kept until they come again. */
const keptBytes = 64 * 2 ** 20;

/** A query or document with its media read and decoded. */
interface Loaded {
  readonly parts: readonly PromptPart[];
  readonly media: readonly EncodedMedia[];
  readonly tokens: number;
}

export interface VlContentEncoderParts {
  readonly prompts: VlPromptEncoder;
  readonly loader: MediaLoader;
  readonly grid: Pick<PatchGrid, 'patchSize' | 'mergeSize'> & { readonly temporalPatchSize: number };
}

/** Pictures and clips through a loader, then prompts. */
export class VlContentEncoder implements ContentEncoder {
  readonly prompt: string;
  readonly #parts: VlContentEncoderParts;
  readonly #slots = new Slots(requestsAtOnce);

  constructor(parts: VlContentEncoderParts) {
    this.#parts = parts;
    this.prompt = parts.prompts.prompt;
  }

  async close(): Promise<void> {
    await Promise.all([this.#parts.prompts.close(), this.#parts.loader.close()]);
  }

  async *windows(query: Content, documents: readonly Content[], options: WindowOptions) {
    const hasMedia = [query, ...documents].some((content) => sourcesOf(content).length > 0);
    if (!hasMedia) return yield* this.#windows(query, documents, options);
    if (!(await this.#slots.take(options.signal))) throw cancelled();
    try {
      yield* this.#windows(query, documents, options);
    } finally {
      this.#slots.release();
    }
  }

  async *#windows(query: Content, documents: readonly Content[], options: WindowOptions) {
    const { windowTokens, mostTokens, ...asAsked } = options;
    const gaveUp = new AbortController();
    const { signal } = gaveUp;
    const giveUp = () => gaveUp.abort();
    if (options.signal?.aborted) giveUp();
    options.signal?.addEventListener('abort', giveUp, { once: true });
    const load = this.#loaderOf([query, ...documents], signal, mostTokens);
    const coming: Promise<Loaded>[] = [];
    try {
      const asked = await load(query);
      let next = 0;
      while (next < documents.length || coming.length > 0) {
        const window: Loaded[] = [];
        let tokens = 0;
        while (window.length < windowDocuments && (window.length === 0 || tokens < windowTokens)) {
          for (; next < documents.length && coming.length < lookAhead; next++) {
            const loading = load(documents[next]!, asked.tokens);
            // Whoever fails first is waited for; a later one must not end the process meanwhile.
            loading.catch(() => undefined);
            coming.push(loading);
          }
          const loaded = await coming.shift();
          if (!loaded) break;
          window.push(loaded);
          tokens += loaded.tokens;
        }
        const parts = window.map((loaded) => loaded.parts);
        const pairs = await this.#parts.prompts.encode(asked.parts, parts, { ...asAsked, signal });
        yield pairs.map((pair, i): EnginePair => ({ ...pair, media: [...asked.media, ...window[i]!.media] }));
      }
    } finally {
      giveUp();
      options.signal?.removeEventListener('abort', giveUp);
      await Promise.allSettled(coming);
    }
  }

  /** Reads contents of a request, each source once: what comes again is kept until then, as far as there is room. */
  #loaderOf(contents: readonly Content[], signal: AbortSignal, mostTokens: number) {
    const sources = contents.flatMap(sourcesOf);
    const shown = new RecurringMedia(sources, keptBytes, (source) => this.#parts.loader.load(source, signal));
    return async (content: Content, beside = 0): Promise<Loaded> => {
      const parts: PromptPart[] = [];
      const media: EncodedMedia[] = [];
      let tokens = 0;
      for (const part of typeof content === 'string' ? [{ type: 'text', text: content } as const] : content) {
        if (part.type === 'text') {
          parts.push({ kind: 'text', text: part.text });
          continue;
        }
        const one = await shown.take(sourceOf(part));
        tokens += this.#tokensOf(one);
        if (beside + tokens > mostTokens) throw tooManyTokens(mostTokens);
        media.push(one);
        parts.push(this.#describe(one));
      }
      return { parts, media, tokens };
    };
  }

  /** What a prompt needs to know of a picture or clip. */
  #describe(media: EncodedMedia): PromptPart {
    const tokens = this.#tokensOf(media);
    if (media.kind === 'image') return { kind: 'image', tokens };
    const timestamps = media.timestamps ?? [];
    return { kind: 'video', tokensPerGroup: tokens / timestamps.length, timestamps };
  }

  #tokensOf({ kind, frames, height, width }: EncodedMedia): number {
    const { patchSize, mergeSize, temporalPatchSize } = this.#parts.grid;
    const side = patchSize * mergeSize;
    const groups = kind === 'image' ? 1 : frames / temporalPatchSize;
    return groups * (height / side) * (width / side);
  }
}

/** Pictures and clips of a query or document, in order. */
function sourcesOf(content: Content): MediaSource[] {
  if (typeof content === 'string') return [];
  return content.flatMap((part) => (part.type === 'text' ? [] : [sourceOf(part)]));
}

function sourceOf(part: Exclude<ContentPart, { readonly type: 'text' }>): MediaSource {
  if (part.type === 'image_url') return { kind: 'image', url: part.image_url.url };
  const { url, fps } = part.video_url;
  if (typeof url === 'string') return { kind: 'video', url };
  return { kind: 'video', frames: url, ...(fps != null && { fps }) };
}

function tooManyTokens(most: number): WgrankError {
  return new WgrankError(
    'input-too-long',
    '',
    `The pictures and clips of a document take more than the ${most} tokens of a prompt, and none of them can be cut (show ` +
      'fewer or smaller ones, or raise --max-length).',
  );
}
