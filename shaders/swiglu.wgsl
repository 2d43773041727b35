// swiglu: the gated activation of a feed-forward block.
//
// math       out = silu(gate) * up, silu(v) = v / (1 + exp(-v))
// shapes     gate, up, out [R, F]; F a multiple of 4
// dtypes     f32
// bindings   0 Params · 1 gate · 2 up · 3 out
// dispatch   one thread per 4 columns of out, R*F/4 in workgroups of 64, folded over x and y
// error      |error| <= (8 + 2 (1 - s) |gate|) 2^-23 |out| against float64, s = 1 / (1 + exp(-gate)): WGSL allows exp
//            3 + 2|v| units. For gate < -87, where silu is below 2e-36, <= 2e-38 |gate up| (test/ops)
// why clamp  exp(-v) overflows for v < -88, and WGSL need not have infinities. exp(87) is the last divisor below 2^126,
//            up to which a division is exact to 2.5 units
// source     Shazeer 2020 (arXiv 2002.05202)
struct Params {
  rows: u32,
  cols4: u32,  // F / 4
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> gate: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> up: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4f>;

fn silu(v: vec4f) -> vec4f {
  return v / (1.0 + exp(clamp(-v, vec4f(-87.0), vec4f(87.0))));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  if (i / params.cols4 >= params.rows) {
    return;
  }
  out[i] = silu(gate[i]) * up[i];
}
