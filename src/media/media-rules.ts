import { SettingsReader } from './settings-reader.ts';

/** How a checkpoint wants its pictures and clips prepared. */
export interface MediaRules {
  /** Pixels of a patch's side. */
  readonly patchSize: number;
  /** Frames that one patch spans. */
  readonly temporalPatchSize: number;
  /** Patches of a merged block's side: one token is `mergeSize`² patches. */
  readonly mergeSize: number;
  /** Per channel, in units of 0..255: the model reads (x − mean) / std. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly image: PixelBounds;
  readonly video: VideoRules;
}

/** Pixels of a picture, or of all frames of a clip, after the resize. */
export interface PixelBounds {
  readonly minPixels: number;
  readonly maxPixels: number;
}

export interface VideoRules extends PixelBounds {
  /** Frames taken per second of the source. */
  readonly fps: number;
  readonly minFrames: number;
  readonly maxFrames: number;
}

/** A JSON file of the model folder, or an object inside one. */
export interface SettingsFile {
  /** For messages, e.g. `preprocessor_config.json`. */
  readonly name: string;
  readonly value: unknown;
}

/** Of the published base models; used where a checkpoint has no file for clips. */
const defaultVideo: VideoRules = { minPixels: 4096, maxPixels: 25_165_824, fps: 2, minFrames: 4, maxFrames: 768 };

/** 8-bit pixels of this many take 100 MB; no published checkpoint asks for more. */
const largestBound = 2 ** 25;

/**
 * Reads the rules as transformers 5.18 does.
 * @throws WgrankError `config-invalid` naming file, key and rule, for whatever wgrank would not compute as transformers does
 */
export function decodeMediaRules(image: SettingsFile, video: SettingsFile | undefined): MediaRules {
  const pictures = new SettingsReader(image.value, image.name);
  pictures.mustBe('image_processor_type', imageProcessors);
  const shared = {
    patchSize: pictures.integer('patch_size', 1, 256),
    temporalPatchSize: pictures.integer('temporal_patch_size', 1, 16),
    mergeSize: pictures.integer('merge_size', 1, 16),
    ...readColours(pictures, undefined),
  };
  checkSteps(pictures);
  const bounds = readBounds(pictures, 'pixels win');
  return {
    ...shared,
    image: bounds,
    video: video === undefined ? defaultVideo : readVideo(new SettingsReader(video.value, video.name), shared),
  };
}

type SharedRules = Pick<MediaRules, 'patchSize' | 'temporalPatchSize' | 'mergeSize' | 'mean' | 'std'>;

const imageProcessors = ['Qwen2VLImageProcessor', 'Qwen2VLImageProcessorFast', 'Qwen2VLImageProcessorPil'];
const videoProcessors = ['Qwen3VLVideoProcessor', 'Qwen3VLVideoProcessorFast'];
const bicubic = 3;
/** Grey, ±1 of it. */
const half = [0.5, 0.5, 0.5];

function checkSteps(settings: SettingsReader): void {
  const steps = ['do_resize', 'do_rescale', 'do_normalize', 'do_convert_rgb'];
  for (const step of steps) settings.mustBe(step, [true]);
  settings.noStepsBut([...steps, 'do_sample_frames']);
  // How pixels are given to the processor, and by it.
  settings.mustBe('input_data_format', []);
  settings.mustBe('data_format', ['channels_first']);
  // Pillow's number of the filter.
  settings.mustBe('resample', [bicubic]);
}

/** @param defaults per channel in 0..1, where a file may leave them out */
function readColours(
  settings: SettingsReader,
  defaults: readonly number[] | undefined,
): Pick<MediaRules, 'mean' | 'std'> {
  const factor = settings.optionalNumber('rescale_factor', 1e-6, 1) ?? 1 / 255;
  const read = (key: string, min: number) => settings.numbers(key, 3, min, 1000, defaults);
  // transformers fuses the two steps in the same way.
  return {
    mean: read('image_mean', -1000).map((value) => value * (1 / factor)),
    std: read('image_std', 1e-6).map((value) => value * (1 / factor)),
  };
}

/** `size` is the newer spelling. transformers lets the older one win for pictures and does not read it for clips. */
function readBounds(settings: SettingsReader, olderOnes: 'pixels win' | 'pixels are not read'): PixelBounds {
  const read = (older: string, edge: string): number => {
    const pixels = olderOnes === 'pixels win' ? settings.optionalInteger(older, 1, largestBound) : undefined;
    return pixels ?? settings.object('size').integer(edge, 1, largestBound);
  };
  const minPixels = read('min_pixels', 'shortest_edge');
  const maxPixels = read('max_pixels', 'longest_edge');
  if (minPixels > maxPixels) throw settings.fail(`asks for ${minPixels} to ${maxPixels} pixels (lower bound first)`);
  return { minPixels, maxPixels };
}

function readVideo(settings: SettingsReader, image: SharedRules): VideoRules {
  settings.mustBe('video_processor_type', videoProcessors);
  checkSteps(settings);
  settings.mustBe('do_sample_frames', [true]);
  settings.mustBe('num_frames', []);
  settings.mustBe('cap_pixels_per_frame', [false]);
  // The engine has one set of patches and colours for pictures and clips.
  settings.mustBe('patch_size', [image.patchSize]);
  settings.mustBe('temporal_patch_size', [image.temporalPatchSize]);
  settings.mustBe('merge_size', [image.mergeSize]);
  const { mean, std } = readColours(settings, half);
  if (String([mean, std]) !== String([image.mean, image.std]))
    throw settings.fail(
      'has another image_mean, image_std or rescale_factor than the file for pictures (one for both)',
    );
  const minFrames = settings.optionalInteger('min_frames', 1, 100_000) ?? defaultVideo.minFrames;
  const maxFrames = settings.optionalInteger('max_frames', 1, 100_000) ?? defaultVideo.maxFrames;
  if (minFrames > maxFrames) throw settings.fail(`asks for ${minFrames} to ${maxFrames} frames (lower bound first)`);
  return {
    ...readBounds(settings, 'pixels are not read'),
    fps: settings.optionalNumber('fps', 0.001, 1000) ?? defaultVideo.fps,
    minFrames,
    maxFrames,
  };
}
