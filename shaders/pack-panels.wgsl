// pack-panels: a linear layer's weight from the checkpoint's layout into the one that matmul reads.
//
// math       packed[n / 32, k, n % 32] = w[n, k], zero where n >= N: panels of 32 output columns, k-major
// shapes     w [N', K], some rows of [N, K] starting at a multiple of 32 · packed: ceil(N / 32) panels of [K, 32]
// dtypes     moves bits: 32-bit elements, or 16-bit ones two to a word (HALF)
// bindings   0 Params · 1 w · 2 packed
// dispatch   one thread per packed word, folded over x and y
// error      exact
const HALF: bool = false;

struct Params {
  rows: u32,        // N'
  k: u32,           // K, even when HALF
  firstPanel: u32,  // where the slice's first panel goes
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> w: array<u32>;
@group(0) @binding(2) var<storage, read_write> packed: array<u32>;

fn half(n: u32, k: u32) -> u32 {
  let word = w[(n * params.k + k) / 2u];
  return select(word & 0xffffu, word >> 16u, (k & 1u) == 1u);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  let wordsPerRow = select(32u, 16u, HALF);
  let panel = i / (wordsPerRow * params.k);
  if (panel * 32u >= params.rows) {
    return;
  }
  let k = i / wordsPerRow % params.k;
  let at = i + params.firstPanel * wordsPerRow * params.k;
  if (HALF) {
    let n = panel * 32u + i % 16u * 2u;
    var word = 0u;
    if (n < params.rows) {
      word = half(n, k);
    }
    if (n + 1u < params.rows) {
      word |= half(n + 1u, k) << 16u;
    }
    packed[at] = word;
  } else {
    let n = panel * 32u + i % 32u;
    var word = 0u;
    if (n < params.rows) {
      word = w[n * params.k + k];
    }
    packed[at] = word;
  }
}
