// v + bias
@group(0) @binding(4) var<storage, read> bias: array<vec4f>;
fn epilogue(v: vec4f, row: u32, col4: u32) -> vec4f {
  return v + bias[col4];
}
