// matmul.subgroup: the same product as matmul.wgsl for CPU rasterisers with subgroups of 8 (lavapipe).
//
// math, shapes, dtypes, bindings, error as in matmul.wgsl; k ascending here too
// consts     ROWS rows of one panel of 32 columns per workgroup, a multiple of 8
// dispatch   x: ceil(R / ROWS), y: panels; workgroups of 8 lanes, 4 columns per lane
// why        lavapipe pays as much for one load that is the same for all lanes as for a gather of 8 addresses, so each lane
//            loads the x of one row and the others get it by a shuffle, which compiles to a register permutation: four times
//            the speed of matmul.wgsl there
enable subgroups;

const ROWS: u32 = 16u;

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
  let panel = group.y * params.k4 * 32u + lane;  // this lane's first vector in the panel: K rows of 8
  var acc: array<vec4f, ROWS>;
  for (var k4 = 0u; k4 < params.k4; k4++) {
    let at = panel + k4 * 32u;
    let w0 = unpack(weight[at]);
    let w1 = unpack(weight[at + 8u]);
    let w2 = unpack(weight[at + 16u]);
    let w3 = unpack(weight[at + 24u]);
    for (var r0 = 0u; r0 < ROWS; r0 += 8u) {
      let own = x[min(row0 + r0 + lane, params.rows - 1u) * params.k4 + k4];
      for (var r = 0u; r < 8u; r++) {
        let a = subgroupShuffle(own, r);
        acc[r0 + r] = fma(vec4f(a.w), w3, fma(vec4f(a.z), w2, fma(vec4f(a.y), w1, fma(vec4f(a.x), w0, acc[r0 + r]))));
      }
    }
  }
  let col4 = group.y * 8u + lane;
  for (var r = 0u; r < ROWS; r++) {
    if (row0 + r < params.rows && col4 < params.cols4) {
      out[(row0 + r) * params.cols4 + col4] = epilogue(acc[r], row0 + r, col4);
    }
  }
}
