import { invalidClip } from './clip.ts';
import { type ClipPacket, hiddenFrame, type ScannedClip } from './scan-clip.ts';
import type { DecoderConfig, VideoDecoder, VideoFrame, WebCodecs } from './web-codecs.ts';

/** Packets that a decoder may hold unread; more would pile up frames. */
const queuedPackets = 2;
/** Closed frames of this many pixels may wait to be collected, at 1.5 bytes a pixel and more. */
const maxClosedPixels = 2 ** 24;

/**
 * Decodes the frames that are wanted, and of the others only those on the way from the key frame before them.
 *
 * Which frame is which is counted, not read from its time: decoders hand frames out in the order of display, but
 * `@napi-rs/webcodecs` 1.3 labels them with times in the order of decoding. Hence a run in which one is missing is refused.
 * @param wanted indices of shown frames
 * @param take gets each wanted frame, in order; it is closed when the promise is kept
 * @throws WgrankError `media-invalid`
 */
export async function decodeFrames(
  codecs: WebCodecs,
  clip: ScannedClip,
  wanted: ReadonlySet<number>,
  take: (index: number, frame: VideoFrame) => Promise<void>,
): Promise<void> {
  const config = await supportedConfig(codecs, clip.decoderConfig);
  const decoded: Decoded = { frames: [], failure: undefined };
  const decoder = openDecoder(codecs, decoded);
  const run = new FrameRun(wanted, take);
  const pass = async () => {
    if (decoded.failure) throw undecodable(decoded.failure.cause);
    for (let frame = decoded.frames.shift(); frame; frame = decoded.frames.shift()) await run.pass(frame);
  };
  // Some providers work in threads and keep no event loop alive.
  const alive = setInterval(() => undefined, 1000);
  try {
    await named(() => decoder.configure(config));
    for (const packets of runsOf(clip.packets, wanted)) {
      run.begin(packets);
      for (const packet of packets) {
        await named(() => decoder.decode(chunkOf(codecs, packet)));
        while (decoder.decodeQueueSize > queuedPackets) await pass().then(pause);
        await pass();
      }
      await flush(decoder, pass);
      run.end();
    }
  } finally {
    clearInterval(alive);
    for (const frame of decoded.frames) frame.close();
    if (decoder.state !== 'closed') decoder.close();
  }
}

/** What a decoder has handed out. */
interface Decoded {
  readonly frames: VideoFrame[];
  failure: { readonly cause: unknown } | undefined;
}

/**
 * A function of its own, so that the callbacks see nothing but `decoded`: native decoders hold their callbacks, and callbacks that
 * could see the decoder would keep it, and all that is in sight, for ever.
 */
function openDecoder({ VideoDecoder }: WebCodecs, decoded: Decoded): VideoDecoder {
  return new VideoDecoder({
    output: (frame) => void decoded.frames.push(frame),
    error: (cause) => (decoded.failure ??= { cause }),
  });
}

/** Gives frames their indices. */
class FrameRun {
  readonly #wanted: ReadonlySet<number>;
  readonly #take: (index: number, frame: VideoFrame) => Promise<void>;
  #indices: number[] = [];
  #passed = 0;
  #closedPixels = 0;

  constructor(wanted: ReadonlySet<number>, take: (index: number, frame: VideoFrame) => Promise<void>) {
    this.#wanted = wanted;
    this.#take = take;
  }

  begin(packets: readonly ClipPacket[]): void {
    this.#indices = packets
      .map(({ index }) => index)
      .filter((index) => index !== hiddenFrame)
      .toSorted((a, b) => a - b);
    this.#passed = 0;
  }

  async pass(frame: VideoFrame): Promise<void> {
    const index = this.#indices[this.#passed++];
    try {
      if (index !== undefined && this.#wanted.has(index)) await this.#take(index, frame);
    } finally {
      const { width, height } = frame.visibleRect ?? { width: 0, height: 0 };
      frame.close();
      this.#collect(width * height);
    }
  }

  /** `@napi-rs/webcodecs` 1.3 frees a frame's memory not when it is closed but when it is collected, and V8 does not see its size. */
  #collect(pixels: number): void {
    this.#closedPixels += pixels;
    if (this.#closedPixels < maxClosedPixels) return;
    this.#closedPixels = 0;
    (globalThis as { gc?: () => void }).gc?.();
  }

  end(): void {
    const [decoded, expected] = [this.#passed, this.#indices.length];
    if (decoded !== expected)
      throw invalidClip(`${decoded} frames were decoded out of ${expected} packets (the file is damaged)`);
  }
}

/**
 * Stretches of packets to decode, each from a key frame to the last packet that is wanted. A key frame that others refer back
 * across is no place to begin.
 */
export function* runsOf(packets: readonly ClipPacket[], wanted: ReadonlySet<number>): Generator<readonly ClipPacket[]> {
  const starts = startsOf(packets);
  let begin = 0;
  let end = 0;
  for (const [place, start] of starts.entries()) {
    const next = starts[place + 1] ?? packets.length;
    const last = lastWanted(packets, start, next, wanted);
    if (last === undefined) continue;
    // Joined to the stretch before when nothing lies between, so that decoders are not flushed needlessly.
    if (end !== start) {
      if (end > begin) yield packets.slice(begin, end);
      begin = start;
    }
    end = last + 1;
  }
  if (end > begin) yield packets.slice(begin, end);
}

/** Places of key frames before which no frame is shown that is decoded after them. */
function startsOf(packets: readonly ClipPacket[]): number[] {
  const starts: number[] = [];
  // From the end: the lowest index from here on, up to the next start.
  let lowest = Infinity;
  for (let place = packets.length - 1; place >= 0; place--) {
    const { index, key } = packets[place]!;
    if (index !== hiddenFrame) lowest = Math.min(lowest, index);
    if (key && (index === hiddenFrame || lowest === index)) starts.push(place);
  }
  const ascending = starts.toReversed();
  return ascending[0] === 0 ? ascending : [0, ...ascending];
}

function lastWanted(packets: readonly ClipPacket[], start: number, end: number, wanted: ReadonlySet<number>) {
  for (let place = end - 1; place >= start; place--) if (wanted.has(packets[place]!.index)) return place;
  return undefined;
}

/** The software decoder where there is a choice: equal on every machine. */
async function supportedConfig({ VideoDecoder }: WebCodecs, config: DecoderConfig): Promise<DecoderConfig> {
  for (const hardwareAcceleration of ['prefer-software', 'no-preference']) {
    const tried = { ...config, hardwareAcceleration };
    const answer = await named(() => VideoDecoder.isConfigSupported(tried)).catch(() => ({ supported: false }));
    if (answer.supported) return tried;
  }
  throw invalidClip('the installed decoder does not read this codec (H.264, HEVC, VP8, VP9, AV1)');
}

/** Times only have to ascend as frames are shown: see `decodeFrames`. */
function chunkOf({ EncodedVideoChunk }: WebCodecs, { index, key, data }: ClipPacket): object {
  const timestamp = index === hiddenFrame ? 0 : index * 1000;
  return new EncodedVideoChunk({ type: key ? 'key' : 'delta', timestamp, data });
}

async function flush(decoder: VideoDecoder, pass: () => Promise<void>): Promise<void> {
  const flushed = named(() => decoder.flush()).then(() => 'flushed' as const);
  // Frames are passed on while it runs, so that they do not pile up. A rejection waits for the race.
  flushed.catch(() => undefined);
  while ((await Promise.race([flushed, pause()])) !== 'flushed') await pass();
  await pass();
}

const pause = () => new Promise<void>((resolve) => setTimeout(resolve, 1));

/**
 * Calls what belongs to a decoder, whose words are not for clients.
 * @throws WgrankError `media-invalid`
 */
export async function named<T>(call: () => T | Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (cause) {
    throw undecodable(cause);
  }
}

const undecodable = (cause: unknown) => invalidClip('the clip cannot be decoded (the file is damaged)', cause);
