/**
 * Cosines and sines of rotary positions, the table that shaders/rope.wgsl reads: row p holds cos of the headSize / 2 angles
 * p * theta^(-2i / headSize), then their sines. Rounded to f32 where transformers rounds, since an angle of thousands shows each
 * rounding of its frequency; powers, cosines and sines are taken in f64, so that nothing is lost between.
 * @param positions rows
 * @param headSize  elements of a head, even
 * @param theta     base of the frequencies, `rope_theta`
 * @returns [positions, headSize]
 * source: Su et al. 2021 (arXiv 2104.09864), transformers `Qwen3RotaryEmbedding`
 */
export function rotaryTable(positions: number, headSize: number, theta: number): Float32Array {
  const half = headSize / 2;
  const frequencies = Float32Array.from({ length: half }, (_, i) => 1 / Math.fround(theta ** Math.fround(i / half)));
  const table = new Float32Array(positions * headSize);
  for (let p = 0; p < positions; p++) {
    frequencies.forEach((frequency, i) => {
      const angle = Math.fround(p * frequency);
      table[p * headSize + i] = Math.cos(angle);
      table[p * headSize + half + i] = Math.sin(angle);
    });
  }
  return table;
}

/**
 * The table of heads that are turned by a row and a column: row p holds the cosines of the headSize / 4 angles
 * p * theta^(-4i / headSize) twice, then their sines twice, so that either position finds its half in the row that it names.
 * @param positions rows
 * @param headSize  elements of a head, a multiple of 4
 * @param theta     base of the frequencies
 * @returns [positions, headSize]
 * source: transformers `Qwen3VLVisionRotaryEmbedding`
 */
export function frameRotaryTable(positions: number, headSize: number, theta: number): Float32Array {
  const quarter = headSize / 4;
  const once = rotaryTable(positions, headSize / 2, theta);
  const table = new Float32Array(positions * headSize);
  for (let at = 0; at < once.length; at += quarter) {
    const values = once.subarray(at, at + quarter);
    table.set(values, 2 * at);
    table.set(values, 2 * at + quarter);
  }
  return table;
}
