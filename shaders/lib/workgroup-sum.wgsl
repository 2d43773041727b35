// Sum over a workgroup of 64 by a fixed tree: the same order, and so the same bits, whatever else runs.
var<workgroup> partial: array<f32, 64>;
fn workgroupSum(value: f32, lane: u32) -> f32 {
  workgroupBarrier();  // a former call's readers are done
  partial[lane] = value;
  for (var width = 32u; width > 0u; width >>= 1u) {
    workgroupBarrier();
    if (lane < width) {
      partial[lane] += partial[lane + width];
    }
  }
  workgroupBarrier();
  return partial[0];
}
