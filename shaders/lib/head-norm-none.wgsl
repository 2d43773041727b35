// Heads as they are.
fn inverseNorm(first: u32) -> f32 {
  return 1.0;
}
fn scaled(v: vec4f, col4: u32) -> vec4f {
  return v;
}
