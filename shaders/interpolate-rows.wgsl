// interpolate-rows: adds a weighted sum of four rows of a table to each row, such as positions between those that were learned.
//
// math       out[r, c] = x[r, c] + (((w0 t0 + w1 t1) + w2 t2) + w3 t3), wk = weights[r, k], tk = table[rows[r, k], c]
// shapes     x, out [R, C] · rows, weights [R, 4] · table [V, C]; C a multiple of 4
// dtypes     rows u32; table f32, f16 or bf16 (lib/unpack-*); else f32
// bindings   0 Params · 1 x · 2 rows · 3 weights · 4 table · 5 out
// dispatch   one thread per 4 columns, R*C/4 in workgroups of 64, folded over x and y
// error      |error| <= 2^-24 (|out| + 4 sum |wk tk|) against float64: each product and each sum is rounded once (test/ops)
// source     the order of the sum is that of transformers' Qwen3-VL, `(pos_embed(indices) * weights).sum(1)`: corners row by row,
//            and x comes last
struct Params {
  rows: u32,
  cols4: u32,  // C / 4
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> rows: array<vec4u>;
@group(0) @binding(3) var<storage, read> weights: array<vec4f>;
@group(0) @binding(4) var<storage, read> table: array<Packed>;
@group(0) @binding(5) var<storage, read_write> out: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  let r = i / params.cols4;
  if (r >= params.rows) {
    return;
  }
  let at = rows[r] * params.cols4 + i % params.cols4;
  let w = weights[r];
  var sum = w.x * unpack(table[at.x]);
  sum += w.y * unpack(table[at.y]);
  sum += w.z * unpack(table[at.z]);
  sum += w.w * unpack(table[at.w]);
  out[i] = x[i] + sum;
}
