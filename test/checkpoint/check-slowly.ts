/**
 * The rules of safetensors once more, written for clearness only: a regular expression cuts the header into tokens, sizes are
 * BigInt. Shares nothing with src/checkpoint. Returns the tensors, or why the file is refused.
 */
export interface SlowTensor {
  readonly dtype: string;
  readonly shape: readonly bigint[];
  readonly begin: bigint;
  readonly end: bigint;
}

type Value =
  | string
  | { readonly number: string }
  | { readonly word: string }
  | Value[]
  | { readonly entries: readonly [string, Value][] };

const space = String.raw`[ \t\n\r]*`;
const string = String.raw`"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"`;
const number = String.raw`-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?`;
const token = new RegExp(String.raw`${space}([{}[\],:]|${string}|${number}|true|false|null)`, 'y');
const bits: Record<string, bigint> = { F4: 4n, F6_E2M3: 6n, F6_E3M2: 6n };
for (const name of ['BOOL', 'U8', 'I8', 'F8_E5M2', 'F8_E4M3', 'F8_E8M0', 'F8_E4M3FNUZ', 'F8_E5M2FNUZ']) bits[name] = 8n;
for (const name of ['I16', 'U16', 'F16', 'BF16']) bits[name] = 16n;
for (const name of ['I32', 'U32', 'F32']) bits[name] = 32n;
for (const name of ['C64', 'F64', 'I64', 'U64']) bits[name] = 64n;
const limit = 2n ** 53n - 1n;

class Refused extends Error {}

function refuse(reason: string): never {
  throw new Refused(reason);
}

function tokenize(text: string): string[] {
  const tokens: string[] = [];
  token.lastIndex = 0;
  while (token.lastIndex < text.length) {
    const at = token.lastIndex;
    const match = token.exec(text);
    if (match === null) {
      if (/^[ \t\n\r]*$/.test(text.slice(at))) break;
      refuse(`no token at ${at}`);
    }
    tokens.push(match[1]!);
  }
  return tokens;
}

function parse(tokens: readonly string[]): Value {
  let at = 0;
  const next = () => tokens[at++] ?? refuse('the text ends');
  const text = (piece: string): string => {
    const decoded = JSON.parse(piece) as string;
    return /\p{Surrogate}/u.test(decoded) ? refuse('lone surrogate') : decoded;
  };
  const value = (depth: number): Value => {
    if (depth > 100) refuse('nested too deep');
    const piece = next();
    if (piece === '{') {
      const entries: [string, Value][] = [];
      if (tokens[at] === '}') return (at++, { entries });
      for (;;) {
        const key = next();
        if (!key.startsWith('"')) refuse('key');
        if (next() !== ':') refuse('colon');
        entries.push([text(key), value(depth + 1)]);
        const mark = next();
        if (mark === '}') return { entries };
        if (mark !== ',') refuse('comma');
      }
    }
    if (piece === '[') {
      const list: Value[] = [];
      if (tokens[at] === ']') return (at++, list);
      for (;;) {
        list.push(value(depth + 1));
        const mark = next();
        if (mark === ']') return list;
        if (mark !== ',') refuse('comma');
      }
    }
    if (piece.startsWith('"')) return text(piece);
    if (/^[-\d]/.test(piece)) return { number: piece };
    return /^[a-z]/.test(piece) ? { word: piece } : refuse(`misplaced ${piece}`);
  };
  const result = value(0);
  if (at !== tokens.length) refuse('more after the value');
  return result;
}

function entriesOf(value: Value, what: string): Map<string, Value> {
  if (typeof value !== 'object' || Array.isArray(value) || !('entries' in value)) return refuse(`${what} is no object`);
  const map = new Map(value.entries);
  return map.size === value.entries.length ? map : refuse(`${what} has duplicates`);
}

function integerOf(value: Value | undefined): bigint {
  if (typeof value !== 'object' || Array.isArray(value) || !('number' in value)) return refuse('no number');
  if (!/^\d+$/.test(value.number) || BigInt(value.number) > limit) refuse(`number ${value.number}`);
  return BigInt(value.number);
}

function tensorOf(value: Value): SlowTensor {
  const fields = entriesOf(value, 'tensor');
  if ([...fields.keys()].toSorted().join() !== 'data_offsets,dtype,shape') refuse('fields');
  const dtype = fields.get('dtype');
  const shape = fields.get('shape');
  const offsets = fields.get('data_offsets');
  if (typeof dtype !== 'string' || !Object.hasOwn(bits, dtype)) return refuse('dtype');
  if (!Array.isArray(shape) || shape.length > 64) return refuse('shape');
  if (!Array.isArray(offsets) || offsets.length !== 2) return refuse('offsets');
  const sizes = shape.map(integerOf);
  const [begin, end] = [integerOf(offsets[0]), integerOf(offsets[1])];
  let total = bits[dtype]!;
  for (const size of sizes) {
    total *= size;
    if (total > limit) refuse('overflow');
  }
  if (total % 8n !== 0n || end - begin !== total / 8n) refuse('size');
  return { dtype, shape: sizes, begin, end };
}

/** @param fileBytes the length of the file, of which `start` holds at least the header */
export function checkSlowly(start: Uint8Array, fileBytes: number): Map<string, SlowTensor> | string {
  try {
    if (fileBytes < 8) refuse('too short');
    let length = 0n;
    for (let i = 7; i >= 0; i--) length = length * 256n + BigInt(start[i]!);
    if (length > 100_000_000n || length + 8n > BigInt(fileBytes)) refuse('header length');
    const header = start.subarray(8, 8 + Number(length));
    let text: string;
    try {
      text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(header);
    } catch {
      return 'not UTF-8';
    }
    if (!text.startsWith('{')) refuse('no brace');
    const entries = entriesOf(parse(tokenize(text)), 'header');
    const metadata = entries.get('__metadata__');
    if (metadata !== undefined) {
      const values = [...entriesOf(metadata, 'metadata').values()];
      if (values.length > 65_536 || values.some((value) => typeof value !== 'string')) refuse('metadata');
      entries.delete('__metadata__');
    }
    const tensors = new Map([...entries].map(([name, value]) => [name, tensorOf(value)]));
    let end = 0n;
    for (const tensor of [...tensors.values()].toSorted((a, b) => Number(a.begin - b.begin || a.end - b.end))) {
      if (tensor.begin !== end) refuse('tiling');
      end = tensor.end;
    }
    if (end !== BigInt(fileBytes) - 8n - length) refuse('data length');
    return tensors;
  } catch (error) {
    if (error instanceof Refused) return error.message;
    throw error;
  }
}
