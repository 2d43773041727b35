// Rows are added to rows.
fn injected(x: vec4f, source: vec4f) -> vec4f {
  return x + source;
}
