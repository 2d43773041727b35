import { type SafetensorsDtype, safetensorsDtypeBits } from '../../src/checkpoint/checkpoint.ts';

/** A tensor to write; `data` defaults to zeros. */
export interface TensorToWrite {
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  readonly data?: Uint8Array;
}

export function countTensorBytes(dtype: SafetensorsDtype, shape: readonly number[]): number {
  return (shape.reduce((product, size) => product * size, 1) * safetensorsDtypeBits[dtype]) / 8;
}

/** Length, header text and data, whatever the text says. */
export function frameHeader(header: string | Uint8Array, dataBytes = 0, length?: bigint): Uint8Array {
  const text = typeof header === 'string' ? new TextEncoder().encode(header) : header;
  const file = new Uint8Array(8 + text.length + dataBytes);
  new DataView(file.buffer).setBigUint64(0, length ?? BigInt(text.length), true);
  file.set(text, 8);
  return file;
}

/** A valid file, tensors in the order given. */
export function buildSafetensors(tensors: Readonly<Record<string, TensorToWrite>>): Uint8Array {
  const header: Record<string, unknown> = { __metadata__: { format: 'pt' } };
  let end = 0;
  for (const [name, { dtype, shape }] of Object.entries(tensors)) {
    const begin = end;
    end += countTensorBytes(dtype, shape);
    header[name] = { dtype, shape, data_offsets: [begin, end] };
  }
  const text = JSON.stringify(header);
  const file = frameHeader(text.padEnd(Math.ceil(text.length / 8) * 8), end);
  let at = file.length - end;
  for (const { dtype, shape, data } of Object.values(tensors)) {
    if (data !== undefined) file.set(data, at);
    at += countTensorBytes(dtype, shape);
  }
  return file;
}
