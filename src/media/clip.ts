import { WgrankError } from '../errors.ts';
import { resizeBicubic } from './bicubic.ts';
import type { MediaRules } from './media-rules.ts';
import { smartResizeVideo } from './smart-resize-video.ts';

/** Decoded pixels: 8-bit RGB, `[height, width, 3]`. */
export interface Picture {
  readonly rgb: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/** A clip as the model takes it. */
export interface Clip {
  /** 8-bit RGB, `[frames, height, width, 3]`. */
  readonly rgb: Uint8Array;
  /** A multiple of the rules' `temporalPatchSize`. */
  readonly frames: number;
  readonly height: number;
  readonly width: number;
  /** Seconds of each group of `temporalPatchSize` frames. */
  readonly timestamps: number[];
}

export const invalidClip = (detail: string, cause?: unknown): WgrankError =>
  new WgrankError('media-invalid', 'video', detail, { cause });
export const tooLargeClip = (detail: string): WgrankError => new WgrankError('media-too-large', 'video', detail);

/**
 * A clip that fills frame by frame: each is resized as it comes, so that memory is bounded by the clip's size for the model and
 * not by the source's.
 */
export class GrowingClip {
  readonly #frames: number;
  readonly #rules: MediaRules;
  #source: { readonly height: number; readonly width: number } | undefined;
  #size = { height: 0, width: 0 };
  #rgb = new Uint8Array(0);

  /** @param frames that are seen, before an odd count is made even; at least `temporalPatchSize` */
  constructor(frames: number, rules: MediaRules) {
    this.#frames = frames;
    this.#rules = rules;
  }

  /**
   * @param at place of the frame, from 0
   * @throws WgrankError `media-invalid` for a frame of another size than the first one put in
   */
  put(at: number, picture: Picture): void {
    const source = (this.#source ??= this.#begin(picture));
    if (picture.height !== source.height || picture.width !== source.width)
      throw invalidClip(
        `frame ${at} has ${picture.width}x${picture.height} pixels: another one has ${source.width}x${source.height} (one size for all)`,
      );
    const { height, width } = this.#size;
    const resized = resizeBicubic(picture.rgb, picture.width, picture.height, width, height);
    this.#rgb.set(resized, at * resized.length);
  }

  #begin({ height, width }: Picture): { height: number; width: number } {
    const { patchSize, mergeSize, temporalPatchSize, video } = this.#rules;
    this.#size = smartResizeVideo(this.#frames, height, width, {
      factor: patchSize * mergeSize,
      temporalFactor: temporalPatchSize,
      ...video,
    });
    this.#rgb = new Uint8Array(this.#padded() * this.#size.height * this.#size.width * 3);
    return { height, width };
  }

  #padded(): number {
    const group = this.#rules.temporalPatchSize;
    return Math.ceil(this.#frames / group) * group;
  }

  /** Repeats the last frame where the model's groups want more. Every frame must have been put in. */
  finish(timestamps: number[]): Clip {
    const { height, width } = this.#size;
    const bytes = height * width * 3;
    for (let at = this.#frames; at < this.#padded(); at++)
      this.#rgb.copyWithin(at * bytes, (this.#frames - 1) * bytes, this.#frames * bytes);
    return { rgb: this.#rgb, frames: this.#padded(), height, width, timestamps };
  }
}
