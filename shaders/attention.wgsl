// attention: softmax attention of query rows over keys of their own sequence, ragged batches, no S x S matrix.
//
// math       out[q, h] = sum_j softmax_j( scale * <query[q, h], key[j, g]> ) value[j, g],  j over the positions that q sees,
//            g = h / (H/G): H query heads share G heads of keys and values (grouped-query attention; G = H without)
// shapes     query, out [Q, H*D] · keyValue [T, 2*G*D], keys in the first half of a row, values in the second
// tiles      [N] of lib/attention-tile.wgsl: at most LANES*QUERIES query rows of one sequence, what they see of it, and where
//            that lies. Causal: horizon is the first row's position; both ways: it is beyond every key
// dtypes     f32; tiles u32
// bindings   0 Params · 1 query · 2 keyValue · 3 tiles · 4 out
// consts     HEAD4 = D/4 · LANES threads per workgroup · QUERIES query rows per thread
// dispatch   x: tiles, y: heads
// error      |error| <= 3e-6 sqrt(D) max|value| against float64 for scores within +-50 (test/ops)
// why        all threads walk the same keys: a key is one load for the whole workgroup, shared by QUERIES rows. The running
//            sum is rescaled only when a new maximum appears (online softmax: Milakov, Gimelshein 2018; Dao 2022). Keys go
//            by position from 0, and one that a row does not see leaves its sums as they were: a row's bits depend neither
//            on the tile that it is in nor on where its keys lie
const HEAD4: u32 = 16u;
const LANES: u32 = 64u;
const QUERIES: u32 = 1u;
const MASKED: f32 = -1.0e30;

struct Params {
  heads: u32,
  kvHeads: u32,
  scale: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> query: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> keyValue: array<vec4f>;
@group(0) @binding(3) var<storage, read> tiles: array<Tile>;
@group(0) @binding(4) var<storage, read_write> out: array<vec4f>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let tile = tiles[group.x];
  let kvWidth = params.kvHeads * HEAD4;
  let kvHead = group.y / (params.heads / params.kvHeads) * HEAD4;
  var q: array<array<vec4f, HEAD4>, QUERIES>;
  var acc: array<array<vec4f, HEAD4>, QUERIES>;
  var rows: array<u32, QUERIES>;
  var seen: array<u32, QUERIES>;
  var highest: array<f32, QUERIES>;
  var total: array<f32, QUERIES>;
  for (var i = 0u; i < QUERIES; i++) {
    let row = min(i * LANES + lane, tile.rows - 1u);
    rows[i] = ((tile.first + row) * params.heads + group.y) * HEAD4;
    for (var d = 0u; d < HEAD4; d++) {
      q[i][d] = query[rows[i] + d] * params.scale;
    }
    seen[i] = keysSeen(tile, row);
    highest[i] = MASKED;
  }
  for (var key = 0u; key < tile.keys; key++) {
    let base = rowOfKey(tile, key) * 2u * kvWidth + kvHead;
    var products = array<vec4f, QUERIES>();
    for (var d = 0u; d < HEAD4; d++) {
      let k = keyValue[base + d];
      for (var i = 0u; i < QUERIES; i++) {
        products[i] = fma(q[i][d], k, products[i]);
      }
    }
    var p: array<vec4f, QUERIES>;
    for (var i = 0u; i < QUERIES; i++) {
      let score = select(MASKED, dot(products[i], vec4f(1.0)), key < seen[i]);
      if (score > highest[i]) {
        let rescale = exp(highest[i] - score);
        highest[i] = score;
        total[i] *= rescale;
        for (var d = 0u; d < HEAD4; d++) {
          acc[i][d] *= rescale;
        }
      }
      p[i] = vec4f(select(0.0, exp(score - highest[i]), key < seen[i]));
      total[i] += p[i].x;
    }
    for (var d = 0u; d < HEAD4; d++) {
      let v = keyValue[base + kvWidth + d];
      for (var i = 0u; i < QUERIES; i++) {
        acc[i][d] = fma(p[i], v, acc[i][d]);
      }
    }
  }
  for (var i = 0u; i < QUERIES; i++) {
    if (i * LANES + lane < tile.rows) {
      for (var d = 0u; d < HEAD4; d++) {
        out[rows[i] + d] = acc[i][d] / total[i];
      }
    }
  }
}
