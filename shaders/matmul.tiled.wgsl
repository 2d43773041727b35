// matmul.tiled: the same product as matmul.wgsl for GPUs: tiles pass through workgroup memory.
//
// math, shapes, dtypes, bindings, error as in matmul.wgsl
// dispatch   x: ceil(R / 64), y: ceil(panels / 2); workgroups of 64 threads, each 8 rows x 8 columns of a 64 x 64 tile
// why        every loaded value serves 8 products from registers; 16 steps of k per tile keep both tiles within 8 KiB
// source     the register-tiled kernels of ggml-webgpu and the CUDA matmul literature, see ARCHITECTURE.md
const STEP: u32 = 16u;   // k per tile
const PITCH: u32 = 68u;  // floats in a row of the x tile: 64 rows, padded against bank conflicts

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

var<workgroup> xTile: array<f32, STEP * PITCH>;     // [k][row]
var<workgroup> wTile: array<vec4f, STEP * 16u>;     // [k][column / 4], two panels side by side

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let row0 = group.x * 64u;
  let panel0 = group.y * 2u;
  let threadRow = thread / 8u;  // rows 8*threadRow …+7
  let threadCol = thread % 8u;  // vectors threadCol and threadCol + 8
  var acc: array<array<vec4f, 2>, 8>;
  for (var k0 = 0u; k0 < params.k4; k0 += STEP / 4u) {
    workgroupBarrier();
    for (var i = thread; i < 64u * STEP / 4u; i += 64u) {
      let row = min(row0 + i / 4u, params.rows - 1u);
      let k4 = k0 + i % 4u;
      let v = select(vec4f(), x[row * params.k4 + min(k4, params.k4 - 1u)], k4 < params.k4);
      let at = (i % 4u) * 4u * PITCH + i / 4u;
      xTile[at] = v.x;
      xTile[at + PITCH] = v.y;
      xTile[at + 2u * PITCH] = v.z;
      xTile[at + 3u * PITCH] = v.w;
    }
    for (var i = thread; i < STEP * 16u; i += 64u) {
      let k = k0 * 4u + i / 16u;
      let panel = min(panel0 + i % 16u / 8u, params.panels - 1u);
      let at = (panel * params.k4 * 4u + min(k, params.k4 * 4u - 1u)) * 8u + i % 8u;
      wTile[i] = unpack(weight[at]);
    }
    workgroupBarrier();
    for (var k = 0u; k < STEP; k++) {
      let w0 = wTile[k * 16u + threadCol];
      let w1 = wTile[k * 16u + 8u + threadCol];
      for (var r = 0u; r < 8u; r++) {
        let a = vec4f(xTile[k * PITCH + threadRow * 8u + r]);
        acc[r][0] = fma(a, w0, acc[r][0]);
        acc[r][1] = fma(a, w1, acc[r][1]);
      }
    }
  }
  for (var r = 0u; r < 8u; r++) {
    for (var p = 0u; p < 2u; p++) {
      let row = row0 + threadRow * 8u + r;
      let col4 = (panel0 + p) * 8u + threadCol;
      if (row < params.rows && col4 < params.cols4) {
        out[row * params.cols4 + col4] = epilogue(acc[r][p], row, col4);
      }
    }
  }
}
