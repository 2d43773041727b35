// matmul: activations times a linear layer's weight, with the epilogue that follows it. Variant for CPU rasterisers.
//
// math       out[r, n] = epilogue( sum_k x[r, k] * weight[n, k] )
// shapes     x [R, K] · weight packed from [N, K], see pack-panels.wgsl · out [R, N]; K, N multiples of 4
// dtypes     x, out f32; weight f32, f16 or bf16 (lib/unpack-*); accumulated in f32, k ascending
// bindings   0 Params · 1 x · 2 weight · 3 out · 4… of lib/epilogue-*
// consts     ROWS rows and PANELS panels of 32 columns per workgroup
// dispatch   x: ceil(R / ROWS), y: ceil(panels / PANELS); workgroups of 8 lanes, 4 columns of each panel per lane
// error      |error| <= 1e-6 sqrt(K) max|x| max|w| against float64 (test/ops)
// why        lavapipe runs 8 lanes as one vector: x is the same for all lanes (one scalar load), only the weight is
//            gathered, and every gathered vector serves ROWS rows. No workgroup memory: it would only add copies.
const ROWS: u32 = 8u;
const PANELS: u32 = 4u;

struct Params {
  rows: u32,
  k4: u32,      // K / 4
  cols4: u32,   // N / 4
  panels: u32,  // ceil(N / 32)
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> weight: array<Packed>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4f>;

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row0 = group.x * ROWS;
  let panel0 = group.y * PANELS;
  let stride = params.k4 * 32u;  // vectors in a panel: K rows of 8
  var acc: array<array<vec4f, PANELS>, ROWS>;
  for (var k4 = 0u; k4 < params.k4; k4++) {
    var w: array<array<vec4f, 4>, PANELS>;
    for (var p = 0u; p < PANELS; p++) {
      let base = min(panel0 + p, params.panels - 1u) * stride + k4 * 32u + lane;
      for (var k = 0u; k < 4u; k++) {
        w[p][k] = unpack(weight[base + 8u * k]);
      }
    }
    for (var r = 0u; r < ROWS; r++) {
      let a = x[min(row0 + r, params.rows - 1u) * params.k4 + k4];
      for (var p = 0u; p < PANELS; p++) {
        acc[r][p] = fma(vec4f(a.w), w[p][3], fma(vec4f(a.z), w[p][2], fma(vec4f(a.y), w[p][1], fma(vec4f(a.x), w[p][0], acc[r][p]))));
      }
    }
  }
  for (var r = 0u; r < ROWS; r++) {
    for (var p = 0u; p < PANELS; p++) {
      let row = row0 + r;
      let col4 = (panel0 + p) * 8u + lane;
      if (row < params.rows && col4 < params.cols4) {
        out[row * params.cols4 + col4] = epilogue(acc[r][p], row, col4);
      }
    }
  }
}
