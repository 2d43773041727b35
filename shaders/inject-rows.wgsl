// inject-rows: puts rows of another matrix in the place of some rows, or adds them there; the others are copied.
//
// math       out[t, c] = injected(x[t, c], source[rows[t], c]) where rows[t] names a row, x[t, c] where it is 0xffffffff;
//            injected(a, b) is b or a + b (lib/inject-*)
// shapes     x, out [T, C] · rows [T] · source [V, C]; C a multiple of 4
// dtypes     f32; rows u32
// bindings   0 Params · 1 x · 2 rows · 3 source · 4 out
// dispatch   one thread per 4 columns, T*C/4 in workgroups of 64, folded over x and y
// error      exact, or one rounding where rows are added
// why read   the source lies outside the arenas, filled by other plans, and so may be bound `read`
struct Params {
  tokens: u32,
  cols4: u32,  // C / 4
}
const NONE: u32 = 0xffffffffu;
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> rows: array<u32>;
@group(0) @binding(3) var<storage, read> source: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> out: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  let token = i / params.cols4;
  if (token >= params.tokens) {
    return;
  }
  let row = rows[token];
  if (row == NONE) {
    out[i] = x[i];
    return;
  }
  out[i] = injected(x[i], source[row * params.cols4 + i % params.cols4]);
}
