// Stored f16, four in two words. unpack2x16float is core WGSL and exact: no shader-f16 is needed to read f16 weights.
alias Packed = vec2u;
fn unpack(p: Packed) -> vec4f {
  return vec4f(unpack2x16float(p.x), unpack2x16float(p.y));
}
