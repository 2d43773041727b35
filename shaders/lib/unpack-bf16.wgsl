// Stored bf16, four in two words: bf16 is the upper half of an f32, so unpacking is a shift and exact.
alias Packed = vec2u;
fn unpack(p: Packed) -> vec4f {
  return bitcast<vec4f>(vec4u(p.x << 16u, p.x & 0xffff0000u, p.y << 16u, p.y & 0xffff0000u));
}
