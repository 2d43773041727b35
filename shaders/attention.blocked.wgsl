// attention.blocked: attention for CPU rasterisers, whose compilers choke on rows kept in registers.
//
// math, shapes, tiles, dtypes, bindings, dispatch, error as in attention.wgsl; any head size that is a multiple of 4
// consts     KEYS keys per step · QUERIES query rows per lane; workgroups of 8 lanes, one SIMD vector of lavapipe
// why        a step is two small matrix products over KEYS keys with the scores in registers between them: keys and values
//            are the same for all lanes, queries and the running sum are gathered once per step. The sum
//            lives in `out` itself, so that no array needs a run-time index. Steps begin at position 0 whatever the tile
const KEYS: u32 = 16u;
const QUERIES: u32 = 2u;

struct Params {
  heads: u32,
  kvHeads: u32,
  head4: u32,  // D / 4
  scale: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> query: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> keyValue: array<vec4f>;
@group(0) @binding(3) var<storage, read> tiles: array<Tile>;
@group(0) @binding(4) var<storage, read_write> out: array<vec4f>;

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let tile = tiles[group.x];
  let kvWidth = params.kvHeads * params.head4;
  let kvHead = group.y / (params.heads / params.kvHeads) * params.head4;
  var rows: array<u32, QUERIES>;
  var softmax: array<Softmax, QUERIES>;
  for (var i = 0u; i < QUERIES; i++) {
    rows[i] = ((tile.first + min(i * 8u + lane, tile.rows - 1u)) * params.heads + group.y) * params.head4;
    softmax[i].highest = MASKED;
  }
  for (var key0 = 0u; key0 < tile.keys; key0 += KEYS) {
    var keys: array<u32, KEYS>;
    for (var j = 0u; j < KEYS; j++) {
      keys[j] = rowOfKey(tile, key0 + j) * 2u * kvWidth + kvHead;
    }
    var s = array<array<f32, KEYS>, QUERIES>();
    for (var d = 0u; d < params.head4; d++) {
      var q: array<vec4f, QUERIES>;
      for (var i = 0u; i < QUERIES; i++) {
        q[i] = query[rows[i] + d];
      }
      for (var j = 0u; j < KEYS; j++) {
        let k = keyValue[keys[j] + d];
        for (var i = 0u; i < QUERIES; i++) {
          s[i][j] = fma(q[i].w, k.w, fma(q[i].z, k.z, fma(q[i].y, k.y, fma(q[i].x, k.x, s[i][j]))));
        }
      }
    }
    for (var i = 0u; i < QUERIES; i++) {
      softmax[i] = weigh(softmax[i], s[i], key0, keysSeen(tile, min(i * 8u + lane, tile.rows - 1u)));
    }
    let last = key0 + KEYS >= tile.keys;
    for (var d = 0u; d < params.head4; d++) {
      var sum = array<vec4f, QUERIES>();
      for (var i = 0u; i < QUERIES; i++) {
        if (key0 > 0u) {
          sum[i] = out[rows[i] + d] * softmax[i].rescale;
        }
      }
      for (var j = 0u; j < KEYS; j++) {
        let v = keyValue[keys[j] + kvWidth + d];
        for (var i = 0u; i < QUERIES; i++) {
          sum[i] = fma(vec4f(softmax[i].weights[j]), v, sum[i]);
        }
      }
      for (var i = 0u; i < QUERIES; i++) {
        if (i * 8u + lane < tile.rows) {
          out[rows[i] + d] = select(sum[i], sum[i] / softmax[i].total, last);
        }
      }
    }
  }
}
