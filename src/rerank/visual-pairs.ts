import { WgrankError } from '../errors.ts';
import type { EncodedMedia } from '../media/encoded-media.ts';
import type { VisionModel } from '../models/model.ts';
import type { FramePair, VisualRun } from '../nn/visual-batch.ts';
import type { EnginePair } from './engine.ts';
import { eachRow, RowRuns, type RowRun } from './row-runs.ts';

/** Two frames that the vision tower takes as one: what it makes of them is kept and shared under a key. */
export interface VisualUnit extends FramePair {
  readonly key: string;
  readonly patches: number;
  /** Tokens that it becomes. */
  readonly tokens: number;
}

/** A picture's place in a sequence. */
export interface Visual {
  readonly unit: VisualUnit;
  readonly at: number;
}

/** A pair as batches take it. */
export interface Sequence {
  /** Token ids; `~n` for a visual token, the same n for the same token of equal pictures. */
  readonly ids: Int32Array;
  /** Positions `[length, 3]`, for models that see. */
  readonly positions?: Uint32Array;
  /** Its pictures, in the order of their places. */
  readonly visuals?: readonly Visual[];
}

interface Named {
  readonly runs: readonly RowRun[];
  uses: number;
}

/**
 * Turns pairs into sequences: gives visual tokens numbers of their own, so that sequences are equal where they show the same, and
 * finds their positions.
 */
export class VisualPairs {
  readonly #vision: VisionModel;
  readonly #numbers = new RowRuns(2 ** 31 - 1);
  readonly #named = new Map<string, Named>();
  readonly #mostPatches: number;

  /** @param mostPatches of a frame that the tower has room for */
  constructor(vision: VisionModel, mostPatches: number) {
    this.#vision = vision;
    this.#mostPatches = mostPatches;
  }

  /**
   * Numbers stay as they are until `release`.
   * @throws WgrankError `input-invalid` when ids and media do not belong together; `media-too-large`
   */
  sequence({ ids, media = [] }: EnginePair): Sequence {
    const units = media.flatMap((one) => this.#unitsOf(one));
    const visuals = this.#find(ids, units);
    const marked = ids.slice();
    const runs = visuals.map(({ unit, at }): VisualRun => {
      eachRow(this.#name(unit), (row, i) => (marked[at + i] = ~row));
      const { patchSize, mergeSize } = this.#vision;
      const side = patchSize * mergeSize;
      return { at, rows: unit.height / side, columns: unit.width / side };
    });
    return { ids: marked, visuals, positions: this.#vision.positions(ids.length, runs) };
  }

  /** Gives back what `sequence` took. */
  release({ visuals = [] }: Sequence): void {
    for (const { unit } of visuals) {
      const named = this.#named.get(unit.key)!;
      named.uses -= 1;
      if (named.uses > 0) continue;
      this.#named.delete(unit.key);
      this.#numbers.give(named.runs);
    }
  }

  #name({ key, tokens }: VisualUnit): readonly RowRun[] {
    let named = this.#named.get(key);
    if (!named) {
      const runs = this.#numbers.take(tokens);
      if (!runs) throw new WgrankError('overloaded', 'engine', 'more pictures are waiting than there are numbers for');
      this.#named.set(key, (named = { runs, uses: 0 }));
    }
    named.uses += 1;
    return named.runs;
  }

  #unitsOf(media: EncodedMedia): (VisualUnit & { readonly token: number })[] {
    const { patchSize, temporalPatchSize, mergeSize, imageToken, videoToken } = this.#vision;
    const { kind, rgb, frames, height, width, hash } = media;
    const side = patchSize * mergeSize;
    const whole = [height, width].every((pixels) => pixels > 0 && pixels % side === 0);
    const perUnit = kind === 'image' ? 1 : temporalPatchSize;
    const counted = kind === 'image' ? frames === 1 : frames > 0 && frames % perUnit === 0;
    if (!whole || !counted || rgb.length !== frames * height * width * 3)
      throw invalid(`${kind} of ${frames} frames, ${height} x ${width} pixels, in ${rgb.length} bytes`);
    const patches = (height / patchSize) * (width / patchSize);
    if (patches > this.#mostPatches) {
      const what = kind === 'image' ? 'a picture' : 'a frame of a clip';
      throw new WgrankError(
        'media-too-large',
        'engine',
        `${what} of ${height} x ${width} pixels has ${patches} patches (this server has room for ${this.#mostPatches} at a time: show a smaller one)`,
      );
    }
    const bytes = perUnit * height * width * 3;
    return Array.from({ length: frames / perUnit }, (_, i) => ({
      key: `${hash}/${i}`,
      rgb: rgb.subarray(i * bytes, (i + 1) * bytes),
      height,
      width,
      patches,
      tokens: patches / mergeSize ** 2,
      token: kind === 'image' ? imageToken : videoToken,
    }));
  }

  /** Pads stand for the units in their order. */
  #find(ids: Int32Array, units: readonly (VisualUnit & { readonly token: number })[]): Visual[] {
    const { imageToken, videoToken } = this.#vision;
    const found: Visual[] = [];
    for (let at = 0; at < ids.length; at++) {
      if (ids[at] !== imageToken && ids[at] !== videoToken) continue;
      const unit = units[found.length];
      const end = at + (unit?.tokens ?? 0);
      if (!unit || end >= ids.length || ids.subarray(at, end).some((id) => id !== unit.token))
        throw invalid(`token ${at} stands for no picture, or for one that does not fit there`);
      found.push({ unit, at });
      at = end - 1;
    }
    if (found.length === units.length) return found;
    throw invalid(`${units.length} pictures and frame pairs for ${found.length} places`);
  }
}

const invalid = (detail: string) => new WgrankError('input-invalid', 'engine', detail);
