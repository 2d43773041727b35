// gather-rows: picks rows of a matrix, such as each sequence's first token.
//
// math       out[s, c] = x[rows[s], c]
// shapes     x [T, C] · rows [S] · out [S, C]; C a multiple of 4
// dtypes     f32; rows u32
// bindings   0 Params · 1 x · 2 rows · 3 out
// dispatch   one thread per 4 columns, S*C/4 in workgroups of 64, folded over x and y
// error      exact
struct Params {
  count: u32,  // S
  cols4: u32,  // C / 4
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> rows: array<u32>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  let s = i / params.cols4;
  if (s >= params.count) {
    return;
  }
  out[i] = x[rows[s] * params.cols4 + i % params.cols4];
}
