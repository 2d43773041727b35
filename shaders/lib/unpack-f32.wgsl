// Stored f32, four to a load.
alias Packed = vec4f;
fn unpack(p: Packed) -> vec4f {
  return p;
}
