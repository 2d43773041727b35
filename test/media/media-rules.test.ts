import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';

import { readMediaRules } from '../../src/media/read-media-rules-node.ts';

const folders: string[] = [];
afterAll(() => folders.forEach((folder) => rmSync(folder, { recursive: true })));

type Files = Readonly<Record<string, unknown>>;

/** A model folder; a string is written as it is. */
function modelFolder(files: Files): string {
  const folder = mkdtempSync(join(tmpdir(), 'wgrank-rules-'));
  folders.push(folder);
  for (const [name, content] of Object.entries(files))
    writeFileSync(join(folder, name), typeof content === 'string' ? content : JSON.stringify(content));
  return folder;
}
const read = (files: Files) => readMediaRules(modelFolder(files));

/** preprocessor_config.json of the published rerankers. */
const image = {
  size: { longest_edge: 1_310_720, shortest_edge: 4096 },
  do_resize: true,
  do_rescale: true,
  do_normalize: true,
  do_convert_rgb: true,
  default_to_square: true,
  resample: 3,
  rescale_factor: 1 / 255,
  patch_size: 16,
  temporal_patch_size: 2,
  merge_size: 2,
  min_pixels: 4096,
  max_pixels: 1_310_720,
  image_mean: [0.5, 0.5, 0.5],
  image_std: [0.5, 0.5, 0.5],
  image_processor_type: 'Qwen2VLImageProcessorFast',
  data_format: 'channels_first',
  crop_size: null,
};
/** video_preprocessor_config.json of the base models. */
const video = {
  size: { longest_edge: 25_165_824, shortest_edge: 4096 },
  patch_size: 16,
  temporal_patch_size: 2,
  merge_size: 2,
  image_mean: [0.5, 0.5, 0.5],
  image_std: [0.5, 0.5, 0.5],
  rescale_factor: 0.00392156862745098,
  fps: 2,
  min_frames: 4,
  max_frames: 768,
  resample: 3,
  do_sample_frames: true,
  num_frames: null,
  cap_pixels_per_frame: null,
  video_processor_type: 'Qwen3VLVideoProcessor',
};
/** Unset, or without meaning to these processors. */
const savedKeys = {
  crop_size: null,
  data_format: 'channels_first',
  device: null,
  do_center_crop: null,
  do_convert_rgb: true,
  do_pad: null,
  input_data_format: null,
  pad_size: null,
  processor_class: 'Qwen3VLProcessor',
  return_tensors: null,
};
const half = [127.5, 127.5, 127.5];
const defaultVideo = { minPixels: 4096, maxPixels: 25_165_824, fps: 2, minFrames: 4, maxFrames: 768 };
const usual = {
  patchSize: 16,
  temporalPatchSize: 2,
  mergeSize: 2,
  mean: half,
  std: half,
  image: { minPixels: 4096, maxPixels: 1_310_720 },
  video: defaultVideo,
};
const without = (settings: object, ...keys: string[]) =>
  Object.fromEntries(Object.entries(settings).filter(([key]) => !keys.includes(key)));

describe('readMediaRules', () => {
  const pixels = ['min_pixels', 'max_pixels'];
  test.each<[string, Files, object]>([
    ['both files', { 'preprocessor_config.json': image, 'video_preprocessor_config.json': video }, usual],
    ['no file for clips', { 'preprocessor_config.json': image }, usual],
    ['bounds as size only', { 'preprocessor_config.json': without(image, ...pixels) }, usual],
    ['bounds as pixels only', { 'preprocessor_config.json': without(image, 'size') }, usual],
    ['keys that are null', { 'preprocessor_config.json': { ...image, min_pixels: null, resample: null } }, usual],
    [
      'pixels that contradict size win, as in transformers',
      { 'preprocessor_config.json': { ...image, min_pixels: 65_536 } },
      { ...usual, image: { minPixels: 65_536, maxPixels: 1_310_720 } },
    ],
    [
      'processor_config.json of transformers 5 comes first',
      {
        'processor_config.json': {
          image_processor: { ...image, min_pixels: 8192 },
          video_processor: { ...video, fps: 1.5, max_frames: 64, max_pixels: 1, min_pixels: 1 },
        },
        'preprocessor_config.json': image,
        'video_preprocessor_config.json': video,
      },
      {
        ...usual,
        image: { minPixels: 8192, maxPixels: 1_310_720 },
        video: { ...defaultVideo, fps: 1.5, maxFrames: 64 },
      },
    ],
    [
      'an older processor_config.json says nothing about media',
      { 'processor_config.json': { processor_class: 'Qwen3VLProcessor' }, 'preprocessor_config.json': image },
      usual,
    ],
    [
      'what a file for clips leaves out is the processor’s own',
      { 'preprocessor_config.json': image, 'video_preprocessor_config.json': { size: video.size } },
      usual,
    ],
    [
      'all keys that transformers 4.57 and 5.18 save',
      {
        'preprocessor_config.json': { ...image, ...savedKeys, disable_grouping: null, image_seq_length: null },
        'video_preprocessor_config.json': {
          ...video,
          ...savedKeys,
          default_to_square: true,
          return_metadata: false,
          video_metadata: null,
          max_video_tokens: 768,
        },
      },
      usual,
    ],
    ['steps that are off', { 'preprocessor_config.json': { ...image, do_center_crop: false, do_pad: false } }, usual],
    [
      'other colours',
      {
        'preprocessor_config.json': { ...image, image_mean: [0, 0.25, 1], image_std: [1, 0.5, 2], rescale_factor: 0.5 },
      },
      { ...usual, mean: [0, 0.5, 2], std: [2, 1, 4] },
    ],
  ])('%s', async (_, files, rules) => {
    expect(await read(files)).toEqual(rules);
  });

  test.each<[string, object, RegExp]>([
    ['no patch size', without(image, 'patch_size'), /lacks patch_size/],
    ['a patch size of 0', { ...image, patch_size: 0 }, /patch_size is 0 \(a whole number from 1 to 256\)/],
    ['half a patch', { ...image, patch_size: 14.5 }, /patch_size is 14.5/],
    ['a patch size in words', { ...image, patch_size: '16' }, /patch_size is "16"/],
    ['no merge size', without(image, 'merge_size'), /lacks merge_size/],
    ['no bounds', without(image, 'size', ...pixels), /lacks size/],
    ['half of the bounds', { ...without(image, ...pixels), size: { shortest_edge: 9 } }, /lacks size.longest_edge/],
    ['bounds that are a number', { ...without(image, ...pixels), size: 224 }, /size is 224 \(an object\)/],
    ['bounds the wrong way round', { ...image, min_pixels: 2_000_000 }, /asks for 2000000 to 1310720 pixels/],
    ['bounds that no memory holds', { ...image, max_pixels: 1e12 }, /max_pixels is 1000000000000 \(a whole number/],
    ['no resize', { ...image, do_resize: false }, /do_resize is false \(true here/],
    ['no rescale', { ...image, do_rescale: false }, /do_rescale is false/],
    ['no normalisation', { ...image, do_normalize: false }, /do_normalize is false/],
    ['bilinear', { ...image, resample: 2 }, /resample is 2 \(3 here/],
    [
      'a crop',
      { ...image, do_center_crop: true, crop_size: { height: 224, width: 224 } },
      /do_center_crop is true \(f/,
    ],
    ['padding', { ...image, do_pad: true }, /do_pad is true \(false here/],
    ['a step of a later version', { ...image, do_sharpen: true }, /do_sharpen is true \(false here/],
    ['a step that is no answer', { ...image, do_pad: 'yes' }, /do_pad is "yes"/],
    ['colours as they come', { ...image, do_convert_rgb: false }, /do_convert_rgb is false \(true here/],
    ['another order of axes', { ...image, data_format: 'channels_last' }, /data_format is "channels_last"/],
    ['axes in a given order', { ...image, input_data_format: 'channels_last' }, /input_data_format is "channels_last"/],
    ['no mean', without(image, 'image_mean'), /lacks image_mean/],
    ['two means', { ...image, image_mean: [0.5, 0.5] }, /image_mean is \[0.5,0.5\] \(3 numbers/],
    ['a deviation of 0', { ...image, image_std: [0, 1, 1] }, /image_std is \[0,1,1\]/],
    ['a rescale factor of 0', { ...image, rescale_factor: 0 }, /rescale_factor is 0/],
    ['another processor', { ...image, image_processor_type: 'CLIPImageProcessor' }, /image_processor_type is "CLIP/],
    ['a list', [image], /the file is \[\{/],
  ])('%s for pictures is refused', async (_, settings, message) => {
    const error = await read({ 'preprocessor_config.json': settings }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ name: 'WgrankError', code: 'config-invalid' });
    expect((error as Error).message).toMatch(message);
    expect((error as Error).message).toMatch(/^\[config\] preprocessor_config.json: /);
  });

  test.each<[string, object, RegExp]>([
    ['no bounds', without(video, 'size'), /lacks size/],
    ['another patch size', { ...video, patch_size: 14 }, /patch_size is 14 \(16 here/],
    ['another merge size', { ...video, merge_size: 1 }, /merge_size is 1/],
    ['other colours', { ...video, image_mean: [0.4, 0.5, 0.5] }, /another image_mean, image_std or rescale_factor/],
    ['a number of frames', { ...video, num_frames: 8 }, /num_frames is 8 \(nothing here/],
    ['no sampling', { ...video, do_sample_frames: false }, /do_sample_frames is false/],
    ['a crop', { ...video, do_center_crop: true }, /do_center_crop is true/],
    ['padding', { ...video, do_pad: true }, /do_pad is true/],
    ['a cap per frame', { ...video, cap_pixels_per_frame: true }, /cap_pixels_per_frame is true/],
    ['no frames', { ...video, max_frames: 0 }, /max_frames is 0/],
    ['frames the wrong way round', { ...video, min_frames: 900 }, /asks for 900 to 768 frames/],
    ['a rate of 0', { ...video, fps: 0 }, /fps is 0/],
    ['another processor', { ...video, video_processor_type: 'LlavaNextVideoProcessor' }, /video_processor_type/],
  ])('%s for clips is refused', async (_, settings, message) => {
    const files = { 'preprocessor_config.json': image, 'video_preprocessor_config.json': settings };
    const error = await read(files).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ name: 'WgrankError', code: 'config-invalid' });
    expect((error as Error).message).toMatch(message);
    expect((error as Error).message).toMatch(/^\[config\] video_preprocessor_config.json: /);
  });

  test.each<[string, Files, string, RegExp]>([
    ['no file', {}, 'checkpoint-missing', /has no preprocessor_config.json/],
    ['a file for clips only', { 'video_preprocessor_config.json': video }, 'checkpoint-missing', /has no preprocessor/],
    [
      'half a file',
      { 'preprocessor_config.json': '{"a":' },
      'config-invalid',
      /preprocessor_config.json: malformed JSON/,
    ],
    ['a huge file', { 'preprocessor_config.json': ' '.repeat(2 ** 20 + 1) }, 'config-invalid', /1048577 bytes/],
    [
      'a number',
      { 'processor_config.json': '{"image_processor":3}' },
      'config-invalid',
      /_config.json, image_processor: /,
    ],
  ])('%s', async (_, files, code, message) => {
    await expect(read(files)).rejects.toMatchObject({ code, message: expect.stringMatching(message) as string });
  });

  test('a folder is no file', async () => {
    const folder = modelFolder({});
    mkdirSync(join(folder, 'preprocessor_config.json'));
    await expect(readMediaRules(folder)).rejects.toMatchObject({ code: 'config-invalid' });
  });
});
