import { WgrankError } from '../errors.ts';

/** What a source is read for: it chooses the limit of bytes. */
export type SourceKind = 'image' | 'video';

/** Bytes of an encoded picture, and of a file with a clip. */
export const defaultMaxBytes: Readonly<Record<SourceKind, number>> = { image: 20 * 2 ** 20, video: 64 * 2 ** 20 };
export const defaultMaxRemoteBytes = 10 * 2 ** 20;
/** From the first question to the DNS to the last byte, redirects included. */
export const defaultRemoteTimeoutMs = 5000;
/** Characters of anything but `data:` URIs and base64; a common bound of servers and proxies. */
export const maxUrlLength = 2048;

/** How many bytes a source may have, and what a refusal says about it. */
export interface ByteLimit {
  readonly kind: SourceKind;
  readonly maxBytes: number;
  /** The option that sets it. */
  readonly option: string;
}

/** @param bytes how many there are, where that is known */
export function tooLarge(limit: ByteLimit, bytes?: number): WgrankError {
  const noun = limit.kind === 'image' ? 'picture' : 'video';
  const has = bytes === undefined ? `has more than ${limit.maxBytes} bytes` : `has ${bytes} bytes`;
  return new WgrankError('media-too-large', 'media', `the ${noun} ${has} (at most ${limit.maxBytes}: ${limit.option})`);
}

export const refuse = (detail: string): WgrankError => new WgrankError('media-refused', 'media', detail);
export const unavailable = (detail: string): WgrankError => new WgrankError('media-unavailable', 'media', detail);
export const invalid = (detail: string): WgrankError => new WgrankError('media-invalid', 'media', detail);
export const cancelled = (): WgrankError => new WgrankError('cancelled', 'media', 'the caller gave up');
