// attention.blocked: attention for CPU rasterisers, whose compilers choke on rows kept in registers.
//
// math, shapes, tiles, dtypes, bindings, dispatch as in attention.wgsl; any head size that is a multiple of 4
// consts     KEYS keys per step · QUERIES query rows per lane; workgroups of 8 lanes, one SIMD vector of lavapipe
// error      |error| <= 1e-5 max|value| against float64 for scores within +-50 (test/ops)
// why        a step is two small matrix products over KEYS keys with the scores in registers between them: keys and values
//            are the same for all lanes (scalar loads), queries and the running sum are gathered once per step. The sum
//            lives in `out` itself, so that no array needs a run-time index
const KEYS: u32 = 16u;
const QUERIES: u32 = 2u;
const MASKED: f32 = -3.0e38;

struct Params {
  heads: u32,
  head4: u32,  // D / 4
  scale: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> query: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> keyValue: array<vec4f>;
@group(0) @binding(3) var<storage, read> tiles: array<vec4u>;
@group(0) @binding(4) var<storage, read_write> out: array<vec4f>;

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let tile = tiles[group.x];
  let width = params.heads * params.head4;
  let head = group.y * params.head4;
  var rows: array<u32, QUERIES>;
  var highest: array<f32, QUERIES>;
  var total: array<f32, QUERIES>;
  for (var i = 0u; i < QUERIES; i++) {
    rows[i] = (tile.x + min(i * 8u + lane, tile.y - 1u)) * width + head;
    highest[i] = MASKED;
  }
  for (var key0 = tile.z; key0 < tile.w; key0 += KEYS) {
    var s = array<array<f32, KEYS>, QUERIES>();
    for (var d = 0u; d < params.head4; d++) {
      var q: array<vec4f, QUERIES>;
      for (var i = 0u; i < QUERIES; i++) {
        q[i] = query[rows[i] + d];
      }
      for (var j = 0u; j < KEYS; j++) {
        let k = keyValue[min(key0 + j, tile.w - 1u) * 2u * width + head + d];
        for (var i = 0u; i < QUERIES; i++) {
          s[i][j] = fma(q[i].w, k.w, fma(q[i].z, k.z, fma(q[i].y, k.y, fma(q[i].x, k.x, s[i][j]))));
        }
      }
    }
    var rescale: array<f32, QUERIES>;
    for (var i = 0u; i < QUERIES; i++) {
      let before = highest[i];
      for (var j = 0u; j < KEYS; j++) {
        s[i][j] = select(MASKED, s[i][j] * params.scale, key0 + j < tile.w);
        highest[i] = max(highest[i], s[i][j]);
      }
      rescale[i] = exp(before - highest[i]);
      total[i] *= rescale[i];
      for (var j = 0u; j < KEYS; j++) {
        s[i][j] = exp(s[i][j] - highest[i]);
        total[i] += s[i][j];
      }
    }
    let first = key0 == tile.z;
    let last = key0 + KEYS >= tile.w;
    for (var d = 0u; d < params.head4; d++) {
      var sum = array<vec4f, QUERIES>();
      for (var i = 0u; i < QUERIES; i++) {
        if (!first) {
          sum[i] = out[rows[i] + d] * rescale[i];
        }
      }
      for (var j = 0u; j < KEYS; j++) {
        let v = keyValue[(min(key0 + j, tile.w - 1u) * 2u + 1u) * width + head + d];
        for (var i = 0u; i < QUERIES; i++) {
          sum[i] = fma(vec4f(s[i][j]), v, sum[i]);
        }
      }
      for (var i = 0u; i < QUERIES; i++) {
        if (i * 8u + lane < tile.y) {
          out[rows[i] + d] = select(sum[i], sum[i] / total[i], last);
        }
      }
    }
  }
}
