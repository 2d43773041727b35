import { av1Sizes, vp8Sizes, vp9Sizes } from './frame-header-sizes.ts';
import { type CodedSize, isSetRecord, parameterSetSizes } from './parameter-sets.ts';

/**
 * Sizes that a bitstream states, one by one. A decoder believes them and not the container: a file that says 64x48 can make it
 * take gigabytes.
 * @param codec as WebCodecs names it, e.g. `avc1.64000a`
 * @param description of the decoder's configuration, where there is one
 */
export function* codedSizes(
  codec: string,
  description: Uint8Array | undefined,
  packets: readonly Uint8Array[],
): Generator<CodedSize> {
  const family = familyOf(codec);
  if (family === 'avc' || family === 'hevc') return yield* parameterSetSizes(family, description, packets);
  // Of AV1, units of the sequence stand behind four bytes.
  if (family === 'av1' && description) yield* av1Sizes(description.subarray(4));
  const sizesOf = { vp8: vp8Sizes, vp9: vp9Sizes, av1: av1Sizes }[family!];
  for (const packet of packets) yield* sizesOf(packet);
}

export const isKnownCodec = (codec: string): boolean => familyOf(codec) !== undefined;

/** Whether a decoder takes a description for what the container says it is. */
export function isKnownDescription(codec: string, description: Uint8Array): boolean {
  const family = familyOf(codec);
  return family === 'avc' || family === 'hevc' ? isSetRecord(family, description) : true;
}

const families = {
  avc1: 'avc',
  avc3: 'avc',
  hvc1: 'hevc',
  hev1: 'hevc',
  vp8: 'vp8',
  vp09: 'vp9',
  av01: 'av1',
} as const;

function familyOf(codec: string): (typeof families)[keyof typeof families] | undefined {
  const entry = codec.split('.')[0]!;
  return entry in families ? families[entry as keyof typeof families] : undefined;
}
