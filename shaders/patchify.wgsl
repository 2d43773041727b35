// patchify: cuts pictures of 8-bit RGB into rows of normalised values, one row per patch.
//
// math       out[p, c, f, y, x] = (byte - mean[c]) / std[c], byte at patches[p][f] + y * patches[p][2] + 3x + c of the pixels
// shapes     pixels [B] words of four bytes, the first one lowest · patches [P, 4], byte offsets of the patch's first pixel in its
//            one or two frames, bytes from one row of pixels to the next, unused · out [P, 3 * FRAMES * SIDE * SIDE]; SIDE a
//            multiple of 4
// dtypes     pixels, patches u32; out f32
// overrides  SIDE, pixels along a patch · FRAMES, of a patch
// bindings   0 Params · 1 pixels · 2 patches · 3 out
// dispatch   one thread per 4 pixels of a patch's row, P * FRAMES * SIDE * SIDE/4 in workgroups of 64, folded over x and y
// error      |error| <= 6 * 2^-24 |out| against float64 with mean and std as f32: a subtraction, and a division of 2.5 units
//            (test/ops)
// why words  4 pixels are 12 bytes and begin at any byte: three words shifted out of four make all three channels' vectors
// why known  with sizes that are known when it is compiled, lavapipe divides by shifts and is nearly twice as fast
override SIDE: u32 = 16;
override FRAMES: u32 = 2;
struct Params {
  patches: u32,
  meanRed: f32,
  meanGreen: f32,
  meanBlue: f32,
  stdRed: f32,
  stdGreen: f32,
  stdBlue: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> pixels: array<u32>;
@group(0) @binding(2) var<storage, read> patches: array<u32>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4f>;

// 12 bytes from any byte on; the fourth word is read only where it is needed, for it may lie behind the last.
fn twelveBytes(at: u32) -> vec3u {
  let word = at / 4u;
  let shift = at % 4u * 8u;
  let last = pixels[word + select(2u, 3u, shift > 0u)];
  let low = vec3u(pixels[word], pixels[word + 1u], pixels[word + 2u]);
  let high = vec3u(low.yz, last);
  return select((low >> vec3u(shift)) | (high << vec3u((32u - shift) % 32u)), low, shift == 0u);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  let plane4 = SIDE * SIDE / 4u;  // vectors of one channel in one frame
  let patchAt = i / (FRAMES * plane4);
  if (patchAt >= params.patches) {
    return;
  }
  let frame = i / plane4 % FRAMES;
  let y = i % plane4 / (SIDE / 4u);
  let x = i % (SIDE / 4u) * 4u;
  let bytes = twelveBytes(patches[4u * patchAt + frame] + y * patches[4u * patchAt + 2u] + 3u * x);
  // Bytes of the three words: R G B R, G B R G, B R G B.
  let red = vec4u(bytes.x, bytes.x >> 24u, bytes.y >> 16u, bytes.z >> 8u) & vec4u(255u);
  let green = vec4u(bytes.x >> 8u, bytes.y, bytes.y >> 24u, bytes.z >> 16u) & vec4u(255u);
  let blue = vec4u(bytes.x >> 16u, bytes.y >> 8u, bytes.z, bytes.z >> 24u) & vec4u(255u);
  let channel4 = FRAMES * plane4;
  let at = patchAt * 3u * channel4 + i % channel4;
  out[at] = (vec4f(red) - params.meanRed) / params.stdRed;
  out[at + channel4] = (vec4f(green) - params.meanGreen) / params.stdGreen;
  out[at + 2u * channel4] = (vec4f(blue) - params.meanBlue) / params.stdBlue;
}
