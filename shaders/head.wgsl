// head: one raw logit per row, the product with a single vector.
//
// math       out[s] = <x[s], weight> + bias[0]
// shapes     x [S, C] · weight [C] · bias [1] · out [S]; C a multiple of 4
// dtypes     f32
// bindings   0 Params · 1 x · 2 weight · 3 bias · 4 out
// dispatch   one thread per row in workgroups of 64
// error      |error| <= 1e-6 sqrt(C) max|x| max|weight| against float64 (test/ops)
struct Params {
  count: u32,  // S
  cols4: u32,  // C / 4
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> weight: array<vec4f>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let s = id.x;
  if (s >= params.count) {
    return;
  }
  var sum = vec4f();
  for (var c = 0u; c < params.cols4; c++) {
    sum = fma(x[s * params.cols4 + c], weight[c], sum);
  }
  out[s] = dot(sum, vec4f(1.0)) + bias[0];
}
