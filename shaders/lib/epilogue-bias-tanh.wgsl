// tanh(v + bias); the clamp keeps drivers that compute it from exponentials away from inf/inf, tanh(10) rounds to 1. What is not
// finite passes through, told by its bits: a clamp would turn NaN into a number, and the host could not see it.
@group(0) @binding(4) var<storage, read> bias: array<vec4f>;
fn epilogue(v: vec4f, row: u32, col4: u32) -> vec4f {
  let x = v + bias[col4];
  let exponent = bitcast<vec4u>(x) & vec4u(0x7f800000u);
  return select(tanh(clamp(x, vec4f(-10.0), vec4f(10.0))), x, exponent == vec4u(0x7f800000u));
}
