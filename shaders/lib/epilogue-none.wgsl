fn epilogue(v: vec4f, row: u32, col4: u32) -> vec4f {
  return v;
}
