// Softmax over blocks of KEYS keys, as one query row goes through them (online softmax: Milakov, Gimelshein 2018; Dao 2022).
const MASKED: f32 = -1.0e30;

struct Softmax {
  highest: f32,                // largest score so far
  total: f32,                  // sum of all weights so far, relative to `highest`
  rescale: f32,                // what the latest block makes of earlier weights
  weights: array<f32, KEYS>,   // of the latest block
}

// Products with the keys at positions key0 … key0 + KEYS-1 → their weights. Keys that are not seen weigh exactly 0 and leave
// all else as it was, bit for bit: exp alone promises neither.
fn weigh(before: Softmax, products: array<f32, KEYS>, key0: u32, seen: u32) -> Softmax {
  var row = before;
  for (var j = 0u; j < KEYS; j++) {
    row.weights[j] = select(MASKED, products[j] * params.scale, key0 + j < seen);
    row.highest = max(row.highest, row.weights[j]);
  }
  row.rescale = select(exp(before.highest - row.highest), 1.0, row.highest == before.highest);
  row.total *= row.rescale;
  for (var j = 0u; j < KEYS; j++) {
    row.weights[j] = select(0.0, exp(row.weights[j] - row.highest), key0 + j < seen);
    row.total += row.weights[j];
  }
  return row;
}
