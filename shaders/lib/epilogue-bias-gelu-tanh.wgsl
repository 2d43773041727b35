// GELU(v + bias), the form x/2 (1 + tanh(u)) with u = sqrt(2/pi) (x + 0.044715 x^3), written as x / (1 + exp(-2u)): the same, and
// where tanh is near -1 nothing cancels. The clamps keep x^3 and exp away from infinities: x / (1 + exp(-2u)) is below 2e-28 at
// -9, and x at 9. What is not finite passes through, told by its bits, as in epilogue-bias-tanh.wgsl.
@group(0) @binding(4) var<storage, read> bias: array<vec4f>;
fn epilogue(v: vec4f, row: u32, col4: u32) -> vec4f {
  let x = v + bias[col4];
  let c = clamp(x, vec4f(-9.0), vec4f(9.0));
  let y = max(x, vec4f(-9.0)) / (1.0 + exp(-1.5957691216057308 * (c + 0.044715 * c * c * c)));
  let exponent = bitcast<vec4u>(x) & vec4u(0x7f800000u);
  return select(y, x, exponent == vec4u(0x7f800000u));
}
