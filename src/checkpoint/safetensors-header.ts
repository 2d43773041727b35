import { type SafetensorsDtype, type TensorInfo, safetensorsDtypeBits } from './checkpoint.ts';
import { JsonScanner, quote } from './json-scan.ts';
import { readObjectEntries } from './json-value.ts';

/** A tensor and where its data lie. */
export interface StoredTensor extends TensorInfo {
  /** Bytes from the end of the header to the tensor's first byte. */
  readonly begin: number;
}

/** PyTorch and NumPy stop at 64 axes; without a limit a 100 MB header could hold one shape of 50 million numbers. */
const maxRank = 64;
/** Writers store a handful; without a limit a 100 MB header could hold ten million. */
const maxMetadataEntries = 65_536;

const encoder = new TextEncoder();
const dtypeNames = Object.keys(safetensorsDtypeBits) as SafetensorsDtype[];
const dtypeLiterals = dtypeNames.map((name) => encoder.encode(name));
const fieldNames = ['dtype', 'shape', 'data_offsets'] as const;
const fieldLiterals = fieldNames.map((name) => encoder.encode(name));

/**
 * Scans a safetensors header: `{"name": {"dtype": …, "shape": […], "data_offsets": [begin, end]}, …}` with an optional
 * `__metadata__` of strings. Checks everything that concerns one tensor, its byte length included; that the tensors tile the
 * data is `checkTiling`'s part.
 *
 * Stricter than the reference reader, on purpose: leading white space, duplicate names, other fields than the three, tensors
 * or dtypes spelt as an array or object, `"__metadata__": null`, sizes beyond 2^53−1, more than 64 axes or 65,536 metadata
 * entries are refused.
 * @param header the header's bytes without the length; at most 100 MB
 * @param refuse makes the error from what is wrong
 */
export function scanHeader(header: Uint8Array, refuse: (detail: string) => Error): Map<string, StoredTensor> {
  if (header[0] !== 0x7b) throw refuse("the header does not begin with '{'");
  const tensors = new Map<string, StoredTensor>();
  /** What the scan is inside of; a name is quoted only on failure, because a header can hold half a million. */
  let tensor: string | undefined;
  const scan = new JsonScanner(header, (detail) =>
    refuse(tensor === undefined ? `header: ${detail}` : `tensor ${quote(tensor)}: ${detail}`),
  );
  let metadata = false;
  readObjectEntries(scan, 'an object', (name) => {
    if (name === '__metadata__') {
      if (metadata) throw scan.fail('__metadata__ occurs twice');
      metadata = true;
      skipMetadata(scan);
    } else {
      tensor = name;
      const before = tensors.size;
      tensors.set(name, readTensor(scan, name));
      if (tensors.size === before) throw scan.fail('the name occurs twice');
    }
    tensor = undefined;
  });
  scan.expectEnd();
  return tensors;
}

function skipMetadata(scan: JsonScanner): void {
  const keys = new Set<string>();
  readObjectEntries(scan, 'an object of strings as __metadata__', (key) => {
    if (keys.has(key)) throw scan.fail(`the key ${quote(key)} occurs twice in __metadata__`);
    if (keys.size === maxMetadataEntries) throw scan.fail(`__metadata__ has more than ${maxMetadataEntries} entries`);
    keys.add(key);
    scan.string('a string as value in __metadata__');
  });
}

function readTensor(scan: JsonScanner, name: string): StoredTensor {
  let dtype: SafetensorsDtype | undefined;
  let shape: number[] | undefined;
  let begin = -1;
  let end = -1;
  scan.expect(0x7b, 'an object');
  do {
    const field = readOneOf(scan, fieldLiterals, fieldNames, 'field');
    if (field === 'dtype' ? dtype !== undefined : field === 'shape' ? shape !== undefined : end >= 0) {
      throw scan.fail(`${field} occurs twice`);
    }
    scan.expect(0x3a, "':' after a field name");
    if (field === 'dtype') dtype = readOneOf(scan, dtypeLiterals, dtypeNames, 'dtype');
    else if (field === 'shape') shape = readShape(scan);
    else [begin, end] = readOffsets(scan);
  } while (scan.accept(0x2c));
  scan.expect(0x7d, "',' or '}'");
  if (dtype === undefined) throw scan.fail('dtype is missing');
  if (shape === undefined) throw scan.fail('shape is missing');
  if (end < 0) throw scan.fail('data_offsets is missing');
  const byteLength = countBytes(scan, dtype, shape);
  if (end - begin !== byteLength) {
    const rule = `${dtype}[${shape.join(', ')}] takes ${byteLength}`;
    throw scan.fail(`data_offsets [${begin}, ${end}] span ${end - begin} bytes, but ${rule}`);
  }
  return { name, dtype, shape, byteLength, begin };
}

/** Reads a string that must be one of `names`; `literals` are the same names as bytes. */
function readOneOf<Name extends string>(
  scan: JsonScanner,
  literals: readonly Uint8Array[],
  names: readonly Name[],
  what: string,
): Name {
  const fast = names[scan.literal(literals)];
  if (fast !== undefined) return fast;
  const text = scan.string(`a string as ${what}`);
  const name = names.find((candidate) => candidate === text);
  if (name === undefined) throw scan.fail(`unknown ${what} ${quote(text)} (one of ${names.join(', ')})`);
  return name;
}

/** `push` would reserve 17 places per shape: 65 MB in a header of half a million tensors. */
const shapeScratch: number[] = Array.from({ length: maxRank }, () => 0);

function readShape(scan: JsonScanner): number[] {
  scan.expect(0x5b, 'an array as shape');
  if (scan.accept(0x5d)) return [];
  let rank = 0;
  do {
    if (rank === maxRank) throw scan.fail(`shape has more than ${maxRank} axes`);
    shapeScratch[rank++] = scan.integer('a size in shape');
  } while (scan.accept(0x2c));
  scan.expect(0x5d, "',' or ']' in shape");
  return shapeScratch.slice(0, rank);
}

function readOffsets(scan: JsonScanner): [begin: number, end: number] {
  scan.expect(0x5b, 'an array as data_offsets');
  const begin = scan.integer('the begin in data_offsets');
  scan.expect(0x2c, "',' between the two data_offsets");
  const end = scan.integer('the end in data_offsets');
  scan.expect(0x5d, "']' after the two data_offsets");
  if (end < begin) throw scan.fail(`data_offsets [${begin}, ${end}] run backwards`);
  return [begin, end];
}

/** product(shape) · bits / 8, each step guarded against leaving the exact integers. */
function countBytes(scan: JsonScanner, dtype: SafetensorsDtype, shape: readonly number[]): number {
  let bits: number = safetensorsDtypeBits[dtype];
  for (const size of shape) {
    // Like the reference, an overflow counts even when a later size is 0.
    if (size > 0 && bits > Number.MAX_SAFE_INTEGER / size) {
      throw scan.fail(`${dtype}[${shape.join(', ')}] overflows: more than 2^53-1 bits`);
    }
    bits *= size;
  }
  if (bits % 8 !== 0) throw scan.fail(`${dtype}[${shape.join(', ')}] takes ${bits} bits, no whole number of bytes`);
  return bits / 8;
}
