// matmul.subgroup: the same product as matmul.wgsl for CPU rasterisers with subgroups of 8 (lavapipe).
//
// math, shapes, dtypes, bindings, error as in matmul.wgsl; k ascending here too
// consts     ROWS rows of 32 columns per workgroup, a multiple of 8
// dispatch   x: ceil(R / ROWS), y: ceil(N / 32); workgroups of 8 lanes, 4 columns per lane
// why        lavapipe pays as much for one load that is the same for all lanes as for a gather of 8 addresses, so each lane
//            loads the x of one row and the others get it by a shuffle, which compiles to a register permutation: three times
//            the speed of matmul.wgsl there
enable subgroups;

const ROWS: u32 = 24u;

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
    for (var r0 = 0u; r0 < ROWS; r0 += 8u) {
      let own = x[min(row0 + r0 + lane, params.rows - 1u) * params.k4 + k4];
      for (var r = 0u; r < 8u; r++) {
        let a = subgroupShuffle(own, r);
        acc[r0 + r] = fma(vec4f(a.w), w[3], fma(vec4f(a.z), w[2], fma(vec4f(a.y), w[1], fma(vec4f(a.x), w[0], acc[r0 + r]))));
      }
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
