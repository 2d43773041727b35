// rope: rotary positions for the first heads of each row, normed before where the model asks for it; other heads are copied.
//
// math       [a b] = norm(x[t, h]), the halves of a head · out[t, h] = [a cos - b sin, b cos + a sin], angles of the token's
//            position, or of one of its positions by lib/axes-*, for h < rotated; out[t, h] = x[t, h] for the other heads
// shapes     x, out [T, heads * D] · positions [T, axes] · table [P, D], a row's D/2 cosines before its D/2 sines; D a multiple
//            of 8
// dtypes     positions u32; else f32
// bindings   0 Params · 1 x · 2 positions · 3 table · 4 out · 5… of lib/head-norm-*
// dispatch   one thread per head, T*heads in workgroups of 64, folded over x and y
// error      with r = sqrt(a^2 + b^2) of a pair: |error| <= 2e-7 r without norm, 2e-6 r with it, against float64 for D up to
//            256 (test/ops)
// why alone  a thread adds its head's squares in one order, whatever lies beside it, and needs no barrier: on lavapipe 8 lanes
//            to a head, with a barrier for their sum, took twice as long
// source     Su et al. 2021 (arXiv 2104.09864), halves as in GPT-NeoX; norm of heads as in Qwen3 (arXiv 2505.09388); several
//            axes as in Qwen3-VL (transformers, modeling_qwen3_vl.py)
struct Params {
  tokens: u32,
  heads: u32,
  half4: u32,      // D / 8: vectors in half a head
  rotated: u32,    // heads that are turned
  eps: f32,        // of the norm
  heightEnd: u32,  // of interleaved axes: frequencies before it may belong to height
  widthEnd: u32,   // and to width
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> positions: array<u32>;
@group(0) @binding(3) var<storage, read> table: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> out: array<vec4f>;

// Of four frequencies.
struct Angles {
  cosine: vec4f,
  sine: vec4f,
}

fn anglesAt(position: u32, c: u32) -> Angles {
  let at = position * 2u * params.half4 + c;
  return Angles(table[at], table[at + params.half4]);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let head = (group.y * groups.x + group.x) * 64u + lane;
  if (head >= params.tokens * params.heads) {
    return;
  }
  let first = head * 2u * params.half4;
  let second = first + params.half4;
  if (head % params.heads >= params.rotated) {
    for (var c = 0u; c < 2u * params.half4; c++) {
      out[first + c] = x[first + c];
    }
    return;
  }
  let inverse = inverseNorm(first);
  let place = placeOf(head / params.heads);
  for (var c = 0u; c < params.half4; c++) {
    let a = scaled(x[first + c] * inverse, c);
    let b = scaled(x[second + c] * inverse, params.half4 + c);
    let angles = anglesOf(place, c);
    out[first + c] = a * angles.cosine - b * angles.sine;
    out[second + c] = b * angles.cosine + a * angles.sine;
  }
}
