// RMSNorm of a head, v / sqrt(mean(v^2) + eps) * weight. Squares are taken of v * 2^-32, for the reason in rms-norm.wgsl.
const SCALE: f32 = 0x1p-32;
@group(0) @binding(5) var<storage, read> weight: array<vec4f>;
fn inverseNorm(first: u32) -> f32 {
  var a = vec4f();
  var b = vec4f();
  for (var c = first; c < first + params.half4; c++) {
    let u = x[c] * SCALE;
    let v = x[c + params.half4] * SCALE;
    a += u * u;
    b += v * v;
  }
  let mean = dot(a + b, vec4f(1.0)) / f32(8u * params.half4);
  return SCALE / sqrt(mean + params.eps * SCALE * SCALE);
}
fn scaled(v: vec4f, col4: u32) -> vec4f {
  return v * weight[col4];
}
