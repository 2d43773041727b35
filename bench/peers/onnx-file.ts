import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { basename } from 'node:path';
import onnxProto from 'onnx-proto';

const { onnx } = onnxProto;
const FLOAT = 1;
const INT32 = 6;
const INT64 = 7;
const EXTERNAL = 1;
const ALIGNMENT = 4096;

export type Attribute = number | string | readonly number[] | { readonly float: number };

/** One ONNX model written piece by piece: weights go to a data file beside it, so the size is not bound by protobuf's 2 GB. */
export class OnnxFile {
  readonly #path: string;
  readonly #data: number;
  #offset = 0;
  #nodes = 0;
  readonly #graph = onnx.GraphProto.create({ name: 'peer' });

  constructor(path: string) {
    this.#path = path;
    this.#data = openSync(`${path}.data`, 'w');
  }

  /** A graph input of fixed shape. */
  input(name: string, shape: readonly number[]): string {
    this.#graph.input.push(valueInfo(name, INT32, shape));
    return name;
  }

  output(name: string, shape: readonly number[]): void {
    this.#graph.output.push(valueInfo(name, FLOAT, shape));
  }

  /** f32 weights, stored outside. */
  weight(name: string, shape: readonly number[], values: Float32Array): string {
    const size = shape.reduce((product, length) => product * length, 1);
    if (size !== values.length) throw new Error(`${name}: ${values.length} values for [${shape.join()}]`);
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    this.#offset = Math.ceil(this.#offset / ALIGNMENT) * ALIGNMENT;
    writeFully(this.#data, bytes, this.#offset);
    this.#graph.initializer.push({
      name,
      dims: [...shape],
      dataType: FLOAT,
      dataLocation: EXTERNAL,
      externalData: [
        { key: 'location', value: `${basename(this.#path)}.data` },
        { key: 'offset', value: String(this.#offset) },
        { key: 'length', value: String(bytes.length) },
      ],
    });
    this.#offset += bytes.length;
    return name;
  }

  /** Shapes and indices. */
  integers(name: string, values: readonly number[]): string {
    this.#graph.initializer.push({ name, dims: [values.length], dataType: INT64, int64Data: [...values] });
    return name;
  }

  scalar(name: string, value: number): string {
    this.#graph.initializer.push({ name, dims: [], dataType: FLOAT, floatData: [value] });
    return name;
  }

  /** @returns the name of the node's only output */
  node(
    opType: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, Attribute>> = {},
    domain = '',
  ): string {
    const output = `${opType}_${this.#nodes++}`;
    const attribute = Object.entries(attributes).map(([name, value]) => encodeAttribute(name, value));
    this.#graph.node.push({ name: output, opType, domain, input: [...inputs], output: [output], attribute });
    return output;
  }

  /** A com.microsoft operator. */
  fused(opType: string, inputs: readonly string[], attributes: Readonly<Record<string, Attribute>> = {}): string {
    return this.node(opType, inputs, attributes, 'com.microsoft');
  }

  rename(value: string, name: string): void {
    for (const node of this.#graph.node) {
      if (node.output?.[0] === value) node.output = [name];
    }
  }

  save(opset: number): void {
    closeSync(this.#data);
    const model = onnx.ModelProto.create({
      irVersion: 8,
      producerName: 'wgrank peer bench',
      opsetImport: [
        { domain: '', version: opset },
        { domain: 'com.microsoft', version: 1 },
      ],
      graph: this.#graph,
    });
    writeFileSync(this.#path, onnx.ModelProto.encode(model).finish());
  }
}

function encodeAttribute(name: string, value: Attribute): InstanceType<typeof onnx.AttributeProto> | object {
  const type = onnx.AttributeProto.AttributeType;
  if (typeof value === 'number') return { name, type: type.INT, i: value };
  if (typeof value === 'string') return { name, type: type.STRING, s: new TextEncoder().encode(value) };
  if ('float' in value) return { name, type: type.FLOAT, f: value.float };
  return { name, type: type.INTS, ints: [...value] };
}

function valueInfo(name: string, elemType: number, shape: readonly number[]): object {
  return { name, type: { tensorType: { elemType, shape: { dim: shape.map((dimValue) => ({ dimValue })) } } } };
}

function writeFully(handle: number, bytes: Uint8Array, position: number): void {
  let done = 0;
  while (done < bytes.length) done += writeSync(handle, bytes, done, bytes.length - done, position + done);
}
