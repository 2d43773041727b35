import { WgrankError } from '../errors.ts';
import { JsonScanner, quote } from './json-scan.ts';
import { maxJsonDepth, readJsonValue, readObjectEntries } from './json-value.ts';

/** A shard is a plain file name in the model folder: the index is untrusted, and paths in it have been used to leave the folder. */
const shardName = /^[\w.-]+\.safetensors$/;

/** Which file holds which tensor. */
export interface ShardIndex {
  /** Tensor name → shard file name. */
  readonly weightMap: ReadonlyMap<string, string>;
  /** Shard file names in order of first mention. */
  readonly shards: readonly string[];
}

function refusal(file: string): (detail: string) => WgrankError {
  return (detail) => new WgrankError('checkpoint-invalid', 'safetensors', `${quote(file)}: ${detail}`);
}

/**
 * Parses `model.safetensors.index.json`: `{"metadata": …, "weight_map": {"tensor": "model-00001-of-00002.safetensors", …}}`.
 * Other keys are allowed and not read.
 * @throws WgrankError `checkpoint-invalid`
 */
export function parseShardIndex(bytes: Uint8Array, file: string): ShardIndex {
  const refuse = refusal(file);
  const scan = new JsonScanner(bytes, refuse);
  const seen = new Set<string>();
  const weightMap = new Map<string, string>();
  const shards = new Map<string, string>();
  readObjectEntries(scan, 'an object', (key) => {
    if (seen.has(key)) throw scan.fail(`the key ${quote(key)} occurs twice`);
    seen.add(key);
    if (key !== 'weight_map') {
      readJsonValue(scan, quote(key), maxJsonDepth - 1);
      return;
    }
    readObjectEntries(scan, 'an object as weight_map', (tensor) => {
      if (weightMap.has(tensor)) throw scan.fail(`the tensor ${quote(tensor)} occurs twice in weight_map`);
      const text = scan.string('a file name in weight_map');
      if (!shardName.test(text)) {
        throw scan.fail(
          `tensor ${quote(tensor)} is mapped to ${quote(text)} (a file name of letters, digits, '_', '-', '.' that ends in .safetensors)`,
        );
      }
      // One string object per shard, not one per tensor.
      const shard = shards.get(text) ?? text;
      shards.set(shard, shard);
      weightMap.set(tensor, shard);
    });
  });
  scan.expectEnd();
  if (!seen.has('weight_map')) throw refuse('weight_map is missing');
  if (shards.size === 0) throw refuse('weight_map is empty');
  return { weightMap, shards: [...shards.keys()] };
}

/**
 * Checks that index and shards agree: every mapped tensor lies in the shard that is named for it, and every tensor of a shard
 * is mapped to that shard.
 * @param tensorsOf shard file name → the tensors in it
 * @throws WgrankError `checkpoint-invalid`
 */
export function checkShards(
  index: ShardIndex,
  tensorsOf: ReadonlyMap<string, ReadonlyMap<string, unknown>>,
  file: string,
): void {
  const refuse = refusal(file);
  for (const [tensor, shard] of index.weightMap) {
    if (!tensorsOf.get(shard)?.has(tensor))
      throw refuse(`tensor ${quote(tensor)} is mapped to ${shard}, which does not hold it`);
  }
  for (const [shard, tensors] of tensorsOf) {
    for (const tensor of tensors.keys()) {
      const mapped = index.weightMap.get(tensor);
      if (mapped === shard) continue;
      const problem = mapped === undefined ? 'but weight_map lacks it' : `but weight_map says ${mapped}`;
      throw refuse(`${shard} holds tensor ${quote(tensor)}, ${problem}`);
    }
  }
}
