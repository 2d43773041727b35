// matmul.tiled: the same product as matmul.wgsl for GPUs: tiles pass through workgroup memory.
//
// math, shapes, dtypes, bindings, error as in matmul.wgsl
// dispatch   x: ceil(R / 64), y: ceil(N / 64); workgroups of 64 threads, each 8 rows x 8 columns of a 64 x 64 tile
// why        every loaded value serves 8 products from registers; 16 steps of k per tile keep both tiles within 9 KiB. Four
//            threads read 64 neighbouring bytes of a row, and both tiles are turned on the way so that k is their slow axis
// source     the register-tiled kernels of ggml-webgpu and the CUDA matmul literature, see ARCHITECTURE.md
const STEP: u32 = 16u;   // k per tile
const PITCH: u32 = 68u;  // floats in a tile row of 64, padded against bank conflicts

struct Params {
  rows: u32,
  k4: u32,     // K / 4
  cols4: u32,  // N / 4
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> weight: array<Packed>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4f>;

var<workgroup> xTile: array<f32, STEP * PITCH>;  // [k][row]
var<workgroup> wTile: array<f32, STEP * PITCH>;  // [k][column]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let row0 = group.x * 64u;
  let col0 = group.y * 64u;
  let threadRow = thread / 8u * 8u;   // rows threadRow …+7 of the tile
  let threadCol = thread % 8u * 4u;   // columns threadCol …+3, and 32 further
  var acc: array<array<vec4f, 2>, 8>;
  for (var k0 = 0u; k0 < params.k4; k0 += STEP / 4u) {
    workgroupBarrier();
    for (var i = thread; i < 64u * STEP / 4u; i += 64u) {
      let k4 = k0 + i % 4u;
      let inside = k4 < params.k4;
      let clamped = min(k4, params.k4 - 1u);
      let a = x[min(row0 + i / 4u, params.rows - 1u) * params.k4 + clamped];
      let w = unpack(weight[min(col0 + i / 4u, params.cols4 * 4u - 1u) * params.k4 + clamped]);
      for (var k = 0u; k < 4u; k++) {
        let at = (i % 4u * 4u + k) * PITCH + i / 4u;
        xTile[at] = select(0.0, a[k], inside);
        wTile[at] = w[k];
      }
    }
    workgroupBarrier();
    for (var k = 0u; k < STEP; k++) {
      let w0 = columns(k * PITCH + threadCol);
      let w1 = columns(k * PITCH + threadCol + 32u);
      for (var r = 0u; r < 8u; r++) {
        let a = vec4f(xTile[k * PITCH + threadRow + r]);
        acc[r][0] = fma(a, w0, acc[r][0]);
        acc[r][1] = fma(a, w1, acc[r][1]);
      }
    }
  }
  for (var r = 0u; r < 8u; r++) {
    for (var half = 0u; half < 2u; half++) {
      let row = row0 + threadRow + r;
      let col4 = (col0 + threadCol) / 4u + half * 8u;
      if (row < params.rows && col4 < params.cols4) {
        out[row * params.cols4 + col4] = epilogue(acc[r][half], row, col4);
      }
    }
  }
}

fn columns(at: u32) -> vec4f {
  return vec4f(wTile[at], wTile[at + 1u], wTile[at + 2u], wTile[at + 3u]);
}
