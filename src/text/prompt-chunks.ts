/** Prompts that are rendered and tokenised at a time: bounds what lies in memory when every prompt repeats a long query. */
const chunkPrompts = 64;
const chunkUnits = 2 ** 20;
/** Chunks on their way at once: while one is tokenised, the next is rendered. */
const lanes = 2;

/**
 * Does work on documents in chunks; the first failure ends it.
 * @param units  UTF-16 units of each document
 * @param shared units that every prompt repeats
 * @param work   gets the range of a chunk
 */
export async function forEachChunk(
  units: readonly number[],
  shared: number,
  work: (first: number, end: number) => Promise<void>,
): Promise<void> {
  const chunks = chunksOf(units, shared);
  const runLane = async (): Promise<void> => {
    for (let chunk = chunks.shift(); chunk !== undefined; chunk = chunks.shift()) {
      try {
        await work(chunk.first, chunk.end);
      } catch (error) {
        chunks.length = 0;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: lanes }, runLane));
}

function chunksOf(units: readonly number[], shared: number): { first: number; end: number }[] {
  const chunks: { first: number; end: number }[] = [];
  for (let first = 0; first < units.length;) {
    let end = first;
    for (let sum = 0; end < units.length && end - first < chunkPrompts && sum < chunkUnits; end += 1)
      sum += shared + units[end]!;
    chunks.push({ first, end });
    first = end;
  }
  return chunks;
}
