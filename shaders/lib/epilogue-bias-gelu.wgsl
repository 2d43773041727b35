// GELU(v + bias), the exact form x/2 (1 + erf(x/sqrt 2)); link erf.wgsl too
@group(0) @binding(4) var<storage, read> bias: array<vec4f>;
fn epilogue(v: vec4f, row: u32, col4: u32) -> vec4f {
  let x = v + bias[col4];
  return 0.5 * x * (1.0 + erf(x * 0.7071067811865476));
}
