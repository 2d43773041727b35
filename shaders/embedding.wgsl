// embedding: rows of a table by token id, plus what belongs to the position.
//
// math       out[t, c] = table[ids[t] - firstRow, c] + positional(t, c)      for ids of this part of the table only
// shapes     ids [T] · table [V', C] · out [T, C]; C a multiple of 4
// dtypes     ids u32; table f32, f16 or bf16 (lib/unpack-*); out f32
// bindings   0 Params · 1 ids · 2 table · 3 out · 4… of lib/position-*
// dispatch   one thread per 4 columns, T*C/4 in workgroups of 64, folded over x and y
// error      exact gather; one rounding per addition
// why parts  a vocabulary can exceed the adapter's largest binding: each part is a launch of its own, and a token's row is
//            written by exactly one of them
struct Params {
  tokens: u32,
  cols4: u32,     // C / 4
  firstRow: u32,  // first vocabulary row in this part
  rows: u32,      // rows in this part
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> ids: array<u32>;
@group(0) @binding(2) var<storage, read> table: array<Packed>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  let token = i / params.cols4;
  if (token >= params.tokens) {
    return;
  }
  let row = ids[token] - params.firstRow;  // wraps for ids before this part, and then fails the test
  if (row >= params.rows) {
    return;
  }
  let col4 = i % params.cols4;
  out[i] = unpack(table[row * params.cols4 + col4]) + positional(token, col4);
}
