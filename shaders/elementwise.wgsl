// elementwise: an epilogue of lib/ as a pass of its own. It defines what the fused form must equal, bit for bit.
//
// math       out[r, c] = epilogue(x[r, c])
// shapes     x, out [R, C]; C a multiple of 4
// dtypes     f32
// bindings   0 Params · 1 x · 3 out · 4… of lib/epilogue-*
// dispatch   one thread per 4 columns, R*C/4 in workgroups of 64, folded over x and y
// error      that of the epilogue
struct Params {
  rows: u32,
  cols4: u32,  // C / 4
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  let row = i / params.cols4;
  if (row >= params.rows) {
    return;
  }
  out[i] = epilogue(x[i], row, i % params.cols4);
}
