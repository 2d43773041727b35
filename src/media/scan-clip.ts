import {
  BufferSource,
  type EncodedPacket,
  EncodedPacketSink,
  Input,
  type InputVideoTrack,
  Logging,
  LogLevel,
  MATROSKA,
  MP4,
  QTFF,
  WEBM,
} from 'mediabunny';

import { invalidClip, tooLargeClip } from './clip.ts';
import { codedSizes, isKnownCodec, isKnownDescription } from './coded-sizes.ts';
import { countMatroskaBlocks } from './matroska-frame-count.ts';
import { countMp4Frames } from './mp4-frame-count.ts';
import type { DecoderConfig } from './web-codecs.ts';

/** An hour of film at 24 frames a second is 86,400. */
const maxClipFrames = 100_000;
/** 4096x2304: level 5.2 of H.264, above every “4K”. A decoder holds up to some 20 frames of 1.5 bytes a pixel. */
const maxFramePixels = 9_437_184;

/** A packet of a video track. */
export interface ClipPacket {
  /** Place among the frames that are shown; negative for those that an edit cuts off at the start. */
  readonly index: number;
  /** Whether decoding can begin here. */
  readonly key: boolean;
  /** A view of the file. */
  readonly data: Uint8Array;
}

/** What a file says of its video track, before anything is decoded. */
export interface ScannedClip {
  /** As WebCodecs wants it: codec string, description and so on. */
  readonly decoderConfig: DecoderConfig;
  /** In the order in which they are decoded. */
  readonly packets: readonly ClipPacket[];
  /** Frames that are shown. */
  readonly frames: number;
  /** Frames over the time from the first's start to the last's end. */
  readonly fps: number;
  /** Clockwise turn for display, in degrees. */
  readonly rotation: 0 | 90 | 180 | 270;
}

/**
 * Opens an MP4, QuickTime, Matroska or WebM file in memory; no other form, so that nothing is ever fetched. Packets are counted
 * one by one: WebM's header does not say how many there are, and headers lie.
 * @throws WgrankError `media-invalid`, `media-too-large`
 */
export async function scanClip(bytes: Uint8Array): Promise<ScannedClip> {
  const listed = checkForm(bytes);
  // It would write texts out of the file to the console.
  Logging.level = LogLevel.Silent;
  const input = new Input({ formats: [MP4, QTFF, MATROSKA, WEBM], source: new BufferSource(bytes) });
  const track = await readable(() => input.getPrimaryVideoTrack());
  if (!track) throw invalidClip('the file has no video track (a clip is wanted)');
  const [width, height] = await readable(() => Promise.all([track.getCodedWidth(), track.getCodedHeight()]));
  checkFramePixels(width, height);
  const [resolution, rotation] = await readable(() => Promise.all([track.getTimeResolution(), track.getRotation()]));
  const decoderConfig: DecoderConfig | null = await readable(() => track.getDecoderConfig());
  if (!decoderConfig || !isKnownCodec(decoderConfig.codec))
    throw invalidClip('the codec of the video track is not one that is read (H.264, HEVC, VP8, VP9, AV1)');
  const description = bytesOf(decoderConfig.description);
  if (description && !isKnownDescription(decoderConfig.codec, description))
    throw invalidClip('the description of the codec is damaged (it is no record of parameter sets)');
  const packets = await readPackets(track);
  if (packets.length < listed)
    throw invalidClip(`the file ends after ${packets.length} of its ${listed} frames (it is cut off)`);
  const data = packets.map((packet) => packet.data);
  for (const { width, height } of codedSizes(decoderConfig.codec, description, data)) checkFramePixels(width, height);
  return { decoderConfig, rotation, ...orderFrames(packets, resolution, decoderConfig.codec) };
}

const bytesOf = (source: DecoderConfig['description']): Uint8Array | undefined =>
  source &&
  (ArrayBuffer.isView(source)
    ? new Uint8Array(source.buffer, source.byteOffset, source.byteLength)
    : new Uint8Array(source));

/** @throws WgrankError `media-too-large` */
export function checkFramePixels(width: number, height: number): void {
  if (width * height > maxFramePixels)
    throw tooLargeClip(`frames have ${width}x${height} pixels (at most ${maxFramePixels} pixels)`);
}

const ebmlMark = 0x1a45dfa3;
/** Names of the boxes with which MP4 and QuickTime files begin. */
const firstBoxes = new Set(['ftyp', 'styp', 'moov', 'mdat', 'free', 'skip', 'wide', 'pnot', 'sidx', 'moof']);

/**
 * Tells the two families apart by their first bytes, and what they declare is counted before a demuxer unfolds it.
 * @returns frames that must be there
 */
function checkForm(bytes: Uint8Array): number {
  if (bytes.length < 8) throw invalidClip(`the file has ${bytes.length} bytes (no clip is as short)`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const matroska = view.getUint32(0) === ebmlMark;
  if (!matroska && !firstBoxes.has(String.fromCharCode(...bytes.subarray(4, 8))))
    throw invalidClip('the file is no clip that is read (MP4, QuickTime, WebM or Matroska)');
  if (matroska) {
    // Sound has blocks as well: some 50 a second beside 24 frames.
    const mostBlocks = 4 * maxClipFrames;
    if (countMatroskaBlocks(bytes, mostBlocks) > mostBlocks) throw tooManyFrames();
    return 0;
  }
  const { most, listed } = countMp4Frames(bytes);
  if (most > maxClipFrames) throw tooManyFrames();
  return listed;
}

const tooManyFrames = () => tooLargeClip(`the clip has more than ${maxClipFrames} frames (at most ${maxClipFrames})`);

/** The demuxer throws whatever it stumbles over; its words are not for clients. */
async function readable<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (cause) {
    throw invalidClip('the file is damaged (its index cannot be read)', cause);
  }
}

async function readPackets(track: InputVideoTrack): Promise<EncodedPacket[]> {
  const sink = new EncodedPacketSink(track);
  const packets: EncodedPacket[] = [];
  let packet = await readable(() => sink.getFirstPacket());
  for (; packet; packet = await readable(() => sink.getNextPacket(packet!))) {
    packets.push(packet);
    if (packets.length > maxClipFrames) throw tooManyFrames();
  }
  if (packets.length === 0) throw invalidClip('the video track has no frames');
  return packets;
}

/**
 * Times are counted in ticks and divided as torchcodec does, which transformers reads clips with: where a clip has just enough
 * frames for one more, the last bit decides.
 */
function orderFrames(
  packets: readonly EncodedPacket[],
  resolution: number,
  codec: string,
): Pick<ScannedClip, 'packets' | 'frames' | 'fps'> {
  const hidden = (packet: EncodedPacket) => codec === 'vp8' && isHiddenVp8(packet.data);
  const visible = packets.filter((packet) => !hidden(packet)).toSorted((a, b) => a.timestamp - b.timestamp);
  const shown = visible.filter((packet) => packet.timestamp >= 0);
  if (shown.length === 0) throw invalidClip('the video track has no frames');
  const ticks = (seconds: number) => Math.round(seconds * resolution);
  // FFmpeg cuts durations to whole ticks.
  const endOf = ({ timestamp, duration }: EncodedPacket) => ticks(timestamp) + Math.floor(duration * resolution + 1e-3);
  const end = shown.reduce((end, packet) => Math.max(end, endOf(packet)), -Infinity);
  const seconds = end / resolution - ticks(shown[0]!.timestamp) / resolution;
  const fps = shown.length / seconds;
  if (!(fps >= 0.001 && fps <= 1000))
    throw invalidClip(`the clip shows ${shown.length} frames in ${seconds} seconds (0.001 to 1000 frames a second)`);
  const cutOff = visible.length - shown.length;
  const places = new Map(visible.map((packet, place) => [packet, place - cutOff]));
  return {
    packets: packets.map((packet) => ({
      index: places.get(packet) ?? hiddenFrame,
      key: packet.type === 'key',
      data: packet.data,
    })),
    frames: shown.length,
    fps,
  };
}

/** In place of a frame's index: a picture that only helps to decode others, and that decoders do not hand out. */
export const hiddenFrame = -Infinity;

/** source: RFC 6386, 9.1: the frame tag's bit `show_frame` */
function isHiddenVp8(data: Uint8Array): boolean {
  return data.length > 0 && (data[0]! & 0x10) === 0;
}
