// v + residual, the residual a tensor of the output's shape
@group(0) @binding(4) var<storage, read_write> residual: array<vec4f>;
fn epilogue(v: vec4f, row: u32, col4: u32) -> vec4f {
  return v + residual[row * params.cols4 + col4];
}
