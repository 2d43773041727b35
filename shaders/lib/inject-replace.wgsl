// Rows take the place of rows.
fn injected(x: vec4f, source: vec4f) -> vec4f {
  return source;
}
