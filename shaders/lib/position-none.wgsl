// No additive position: models with rotary positions.
fn positional(token: u32, col4: u32) -> vec4f {
  return vec4f();
}
