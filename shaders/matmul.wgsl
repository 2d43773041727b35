// matmul: activations times a linear layer's weight, with the epilogue that follows it. Variant for any CPU rasteriser.
//
// math       out[r, n] = epilogue( sum_k x[r, k] * weight[n, k] )
// shapes     x [R, K] · weight [N, K], as checkpoints store it · out [R, N]; K, N multiples of 4
// dtypes     x, out f32; weight f32, f16 or bf16 (lib/unpack-*); accumulated in f32, k ascending
// bindings   0 Params · 1 x · 2 weight · 3 out · 4… of lib/epilogue-*
// consts     ROWS rows of 32 columns per workgroup
// dispatch   x: ceil(R / ROWS), y: ceil(N / 32); workgroups of 8 lanes, 4 columns per lane
// error      |error| <= 8e-8 (K + 16) max|x| max|w| against float64 (test/ops)
// why        such compilers turn lanes into vectors and keep all sums in registers; workgroup memory would only add copies
const ROWS: u32 = 8u;

struct Params {
  rows: u32,
  k4: u32,     // K / 4
  cols4: u32,  // N / 4
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> weight: array<Packed>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4f>;

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row0 = group.x * ROWS;
  let col4 = group.y * 8u + lane;
  let first = min(col4, params.cols4 - 1u) * 4u * params.k4;  // weight rows of this lane's columns: first, and k4 further each
  var acc: array<vec4f, ROWS>;
  for (var k4 = 0u; k4 < params.k4; k4++) {
    let w = transpose(columns(first + k4, params.k4));
    for (var r = 0u; r < ROWS; r++) {
      let a = x[min(row0 + r, params.rows - 1u) * params.k4 + k4];
      acc[r] = fma(vec4f(a.w), w[3], fma(vec4f(a.z), w[2], fma(vec4f(a.y), w[1], fma(vec4f(a.x), w[0], acc[r]))));
    }
  }
  if (col4 >= params.cols4) {
    return;
  }
  for (var r = 0u; r < ROWS; r++) {
    if (row0 + r < params.rows) {
      out[(row0 + r) * params.cols4 + col4] = acc[r];
    }
  }
  // Over what was just written, in a loop that compilers cannot unroll: ROWS copies of an epilogue take seconds to compile.
  let end = min(row0 + ROWS, params.rows);
  for (var row = row0; row < end; row++) {
    let at = row * params.cols4 + col4;
    out[at] = epilogue(out[at], row, col4);
  }
}

// Four k of four neighbouring columns.
fn columns(at: u32, pitch: u32) -> mat4x4f {
  return mat4x4f(unpack(weight[at]), unpack(weight[at + pitch]), unpack(weight[at + 2u * pitch]), unpack(weight[at + 3u * pitch]));
}
