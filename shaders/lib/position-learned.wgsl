// Learned absolute positions plus the one token-type row of XLM-RoBERTa, C/4 vectors a row.
@group(0) @binding(4) var<storage, read> positions: array<u32>;
@group(0) @binding(5) var<storage, read> positionTable: array<Packed>;
@group(0) @binding(6) var<storage, read> tokenType: array<vec4f>;
fn positional(token: u32, col4: u32) -> vec4f {
  return tokenType[col4] + unpack(positionTable[positions[token] * params.cols4 + col4]);
}
