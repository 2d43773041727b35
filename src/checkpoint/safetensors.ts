import { WgrankError } from '../errors.ts';
import { quote } from './json-scan.ts';
import { type StoredTensor, scanHeader } from './safetensors-header.ts';

/** The u64 header length, plus the header's first byte so that a wrong file is refused before its header is read. */
export const preambleBytes = 9;
/** The format's own limit (source: safetensors 0.8, `MAX_HEADER_SIZE`). */
export const maxHeaderBytes = 100_000_000;

const lengthBytes = 8;

function refusal(file: string): (detail: string) => WgrankError {
  return (detail) => new WgrankError('checkpoint-invalid', 'safetensors', `${quote(file)}: ${detail}`);
}

/**
 * Checks the start of a safetensors file.
 * @param preamble its first `preambleBytes` bytes, fewer when it is shorter
 * @param fileBytes its length
 * @returns the header's length in bytes; the header begins at byte 8
 * @throws WgrankError `checkpoint-invalid`
 */
export function readHeaderLength(preamble: Uint8Array, fileBytes: number, file: string): number {
  const refuse = refusal(file);
  if (preamble.length < lengthBytes) {
    throw refuse(`${fileBytes} bytes long (a safetensors file has at least ${lengthBytes})`);
  }
  const view = new DataView(preamble.buffer, preamble.byteOffset, preamble.byteLength);
  const length = view.getBigUint64(0, true);
  if (length > BigInt(maxHeaderBytes)) throw refuse(`header of ${length} bytes (at most ${maxHeaderBytes})`);
  const bytes = Number(length);
  if (bytes > fileBytes - lengthBytes) {
    throw refuse(`header of ${bytes} bytes in a file of ${fileBytes} (truncated, or no safetensors file)`);
  }
  if (bytes === 0 || preamble[lengthBytes] !== 0x7b) throw refuse("the header does not begin with '{'");
  return bytes;
}

/** Where the tensors of one safetensors file lie. */
export interface SafetensorsLayout {
  /** In header order. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** File offset of the first data byte. */
  readonly dataBegin: number;
}

/**
 * Reads a header strictly and checks that its tensors tile the data from byte 0 to the end of the file, without holes or
 * overlaps: no byte of the file is unaccounted for.
 * @param header the `readHeaderLength` bytes from byte 8 on
 * @throws WgrankError `checkpoint-invalid` naming file, tensor and values
 */
export function parseSafetensors(header: Uint8Array, fileBytes: number, file: string): SafetensorsLayout {
  const refuse = refusal(file);
  const tensors = scanHeader(header, refuse);
  const dataBegin = lengthBytes + header.length;
  const dataBytes = fileBytes - dataBegin;
  const end = checkTiling([...tensors.values()], refuse);
  if (end > dataBytes) {
    throw refuse(
      `the tensors end at byte ${end} of the data, but the file has ${dataBytes} (${end - dataBytes} are missing)`,
    );
  }
  if (end < dataBytes) {
    throw refuse(
      `the tensors end at byte ${end} of the data, but the file has ${dataBytes} (${dataBytes - end} belong to none)`,
    );
  }
  return { tensors, dataBegin };
}

/** @returns the byte after the last tensor */
function checkTiling(tensors: StoredTensor[], refuse: (detail: string) => Error): number {
  const sorted = tensors.every((tensor, i) => i === 0 || comparePlaces(tensors[i - 1]!, tensor) <= 0);
  if (!sorted) tensors.sort(comparePlaces);
  let end = 0;
  let previous: StoredTensor | undefined;
  for (const tensor of tensors) {
    const gap = tensor.begin - end;
    if (gap !== 0) {
      const kind = gap > 0 ? `leaves a hole of ${gap} bytes after` : `overlaps by ${-gap} bytes`;
      const neighbour =
        previous === undefined ? 'the start of the data' : `${quote(previous.name)}, which ends at ${end}`;
      throw refuse(`tensor ${quote(tensor.name)} begins at byte ${tensor.begin} and ${kind} ${neighbour}`);
    }
    end = tensor.begin + tensor.byteLength;
    previous = tensor;
  }
  return end;
}

/** By begin; of two with the same begin the empty one comes first. */
function comparePlaces(a: StoredTensor, b: StoredTensor): number {
  return a.begin - b.begin || a.byteLength - b.byteLength;
}
