// attention: softmax attention of query rows over the keys of their own sequence, ragged batches, no S x S matrix.
//
// math       out[q, h] = sum_j softmax_j( scale * <query[q, h], key[j, h]> ) value[j, h],  j over the tile's key range
// shapes     query, out [Q, H*D] · keyValue [T, 2*H*D], keys in the first half of a row, values in the second
// tiles      [N] of (first query row, query rows <= 8*QUERIES or 64*QUERIES, first key, end of keys): a tile's rows belong to one
//            sequence, so that every pair's arithmetic is the same whatever shares its batch
// dtypes     f32; tiles u32
// bindings   0 Params · 1 query · 2 keyValue · 3 tiles · 4 out
// consts     HEAD4 = D/4 · LANES threads per workgroup · QUERIES query rows per thread
// dispatch   x: tiles, y: heads
// error      |error| <= 1e-5 max|value| against float64 for scores within +-50 (test/ops)
// why        all threads walk the same keys: a key is one load for the whole workgroup, shared by QUERIES rows. The running
//            sum is rescaled only when a new maximum appears (online softmax: Milakov, Gimelshein 2018; Dao 2022)
const HEAD4: u32 = 16u;
const LANES: u32 = 64u;
const QUERIES: u32 = 1u;
const MASKED: f32 = -3.0e38;

struct Params {
  heads: u32,
  scale: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> query: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> keyValue: array<vec4f>;
@group(0) @binding(3) var<storage, read> tiles: array<vec4u>;
@group(0) @binding(4) var<storage, read_write> out: array<vec4f>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let tile = tiles[group.x];
  let width = params.heads * HEAD4;
  let head = group.y * HEAD4;
  var q: array<array<vec4f, HEAD4>, QUERIES>;
  var acc: array<array<vec4f, HEAD4>, QUERIES>;
  var highest: array<f32, QUERIES>;
  var total: array<f32, QUERIES>;
  for (var i = 0u; i < QUERIES; i++) {
    let row = tile.x + min(i * LANES + lane, tile.y - 1u);
    for (var d = 0u; d < HEAD4; d++) {
      q[i][d] = query[row * width + head + d] * params.scale;
    }
    highest[i] = MASKED;
  }
  for (var key = tile.z; key < tile.w; key++) {
    let base = key * 2u * width + head;
    var products = array<vec4f, QUERIES>();
    for (var d = 0u; d < HEAD4; d++) {
      let k = keyValue[base + d];
      for (var i = 0u; i < QUERIES; i++) {
        products[i] = fma(q[i][d], k, products[i]);
      }
    }
    var p: array<vec4f, QUERIES>;
    for (var i = 0u; i < QUERIES; i++) {
      let score = dot(products[i], vec4f(1.0));
      if (score > highest[i]) {
        let rescale = exp(highest[i] - score);
        highest[i] = score;
        total[i] *= rescale;
        for (var d = 0u; d < HEAD4; d++) {
          acc[i][d] *= rescale;
        }
      }
      p[i] = vec4f(exp(score - highest[i]));
      total[i] += p[i].x;
    }
    for (var d = 0u; d < HEAD4; d++) {
      let v = keyValue[base + width + d];
      for (var i = 0u; i < QUERIES; i++) {
        acc[i][d] = fma(p[i], v, acc[i][d]);
      }
    }
  }
  for (var i = 0u; i < QUERIES; i++) {
    if (i * LANES + lane < tile.y) {
      let row = tile.x + i * LANES + lane;
      for (var d = 0u; d < HEAD4; d++) {
        out[row * width + head + d] = acc[i][d] / total[i];
      }
    }
  }
}
