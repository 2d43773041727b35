import { type SafetensorsDtype, safetensorsDtypeBits } from '../../src/checkpoint/checkpoint.ts';
import { countTensorBytes, frameHeader } from '../checkpoint/build-safetensors.ts';
import type { Random } from './random.ts';

/** A file to try; its length may be larger than its bytes (a hole at the end). */
export interface FuzzCase {
  readonly bytes: Uint8Array;
  /** Names of what was done to it. */
  readonly steps: readonly string[];
}

interface Entry {
  name: string;
  dtype: string;
  shape: string[];
  begin: string;
  end: string;
}

const dtypes = Object.keys(safetensorsDtypeBits) as SafetensorsDtype[];
const oddNames = ['__proto__', 'constructor', '', '名前', 'a b', '\\u0061', '\\ud83d\\ude00', 'é'];
const oddNumbers = [
  '-0',
  '-1',
  '1e3',
  '1.0',
  '0.5',
  '01',
  '00',
  '+1',
  '9007199254740991',
  '9007199254740992',
  '9007199254740993',
  '18446744073709551615',
  '18446744073709551616',
  '1e400',
  'NaN',
  'Infinity',
  'null',
  'true',
  '"1"',
  '[]',
  '{}',
  '',
  ' 7 ',
  '0x10',
];

function validEntries(random: Random): Entry[] {
  const entries: Entry[] = [];
  let end = 0;
  const count = random.below(6);
  for (let i = 0; i < count; i++) {
    const dtype = random.pick(dtypes);
    const shape = Array.from({ length: random.below(4) }, () => random.pick([0, 1, 2, 3, 4, 8]));
    // Elements of 4 and 6 bits must fill whole bytes.
    if (safetensorsDtypeBits[dtype] < 8) shape.push(4);
    const begin = end;
    end += countTensorBytes(dtype, shape);
    const name = random.chance(15) ? random.pick(oddNames) : `t${i}`;
    entries.push({ name, dtype, shape: shape.map(String), begin: String(begin), end: String(end) });
  }
  return entries;
}

function shuffle<T>(random: Random, values: T[]): void {
  for (let i = values.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [values[i], values[j]] = [values[j]!, values[i]!];
  }
}

/** One change that knows the format. */
function mutateEntries(random: Random, entries: Entry[]): string {
  const entry = entries.length > 0 ? random.pick(entries) : undefined;
  if (entry === undefined) return 'none';
  const shift = (text: string) => String(Number(text) + random.pick([-8, -1, 1, 2, 64]));
  const steps: Record<string, () => void> = {
    hole: () => ((entry.begin = shift(entry.begin)), (entry.end = shift(entry.end))),
    overlap: () => (entry.begin = shift(entry.begin)),
    end: () => (entry.end = shift(entry.end)),
    swap: () => ([entry.begin, entry.end] = [entry.end, entry.begin]),
    duplicate: () => entries.push({ ...entry }),
    rename: () => (entry.name = random.pick([...oddNames, random.pick(entries).name, '__metadata__'])),
    dtype: () => (entry.dtype = random.pick([...dtypes, 'F31', 'f32', 'F32 ', '', 'FLOAT'])),
    number: () => (entry.shape[random.below(entry.shape.length + 1)] = random.pick(oddNumbers)),
    offset: () => (random.chance(50) ? (entry.begin = random.pick(oddNumbers)) : (entry.end = random.pick(oddNumbers))),
    huge: () => (entry.shape = ['4294967296', '2097152', random.pick(['0', '1', '4294967296'])]),
    rank: () => (entry.shape = [...entry.shape, ...Array.from({ length: random.pick([60, 64, 65, 100]) }, () => '1')]),
    shuffle: () => shuffle(random, entries),
    drop: () => entries.splice(random.below(entries.length), 1),
  };
  const name = random.pick(Object.keys(steps));
  steps[name]!();
  return name;
}

function writeEntry(random: Random, entry: Entry, plain: boolean): string {
  const fields = [
    `"dtype":"${entry.dtype}"`,
    `"shape":[${entry.shape.join(',')}]`,
    `"data_offsets":[${entry.begin},${entry.end}]`,
  ];
  if (!plain) {
    const step = random.below(12);
    if (step === 0) fields.push(random.pick(fields));
    if (step === 1) fields.splice(random.below(fields.length), 1);
    if (step === 2) fields.push(random.pick(['"extra":1', '"extra":null', '"shape":null', '"dtype":{"F32":null}']));
    if (step === 3)
      return `"${entry.name}":["${entry.dtype}",[${entry.shape.join(',')}],[${entry.begin},${entry.end}]]`;
    if (step === 4) fields[2] = `"data_offsets":[${entry.begin},${entry.end},${entry.end}]`;
    if (step === 5) return `"${entry.name}":${random.pick(['null', '1', '[]', '{}', '"F32"', '{"dtype":"F32"}'])}`;
    if (step === 6) fields[0] = `"d\\u0074ype":"${entry.dtype}"`;
    if (step === 7) return `"${entry.name}":${'['.repeat(random.pick([1, 50, 2000]))}`;
  }
  if (random.chance(30)) shuffle(random, fields);
  return `"${entry.name}":{${fields.join(random.chance(10) ? ' ,\n' : ',')}}`;
}

const metadata = [
  '"__metadata__":{"format":"pt"}',
  '"__metadata__":{}',
  '"__metadata__":null',
  '"__metadata__":{"a":1}',
  '"__metadata__":[]',
  '"__metadata__":{"a":"b","a":"c"}',
  '"__metadata__":{"a":{"b":"c"}}',
  '"__metadata__":"x"',
  '"__metadata__":{"é":"\\ud800"}',
];

const alphabet = '{}[]",:0123456789-+.eE \\\t\n\u0000utfnal'.split('').map((c) => c.charCodeAt(0));

function mutateBytes(random: Random, bytes: Uint8Array): Uint8Array {
  const list = [...bytes];
  const at = random.below(list.length + 1);
  const step = random.below(6);
  if (step === 0 && at < list.length) list[at] = random.below(256);
  else if (step === 1 && at < list.length) list[at]! ^= 1 << random.below(8);
  else if (step === 2) list.splice(at, 0, random.pick(alphabet));
  else if (step === 3) list.splice(at, 1 + random.below(8));
  else if (step === 4) list.splice(at, 0, ...list.slice(random.below(list.length + 1)).slice(0, 40));
  else
    list.splice(
      at,
      0,
      ...random.pick([[0xef, 0xbb, 0xbf], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xff], [0xf4, 0x90, 0x80, 0x80], [0x00]]),
    );
  return Uint8Array.from(list);
}

/** A file that is valid, slightly wrong or very wrong. */
export function makeFuzzCase(random: Random): FuzzCase {
  const steps: string[] = [];
  const entries = validEntries(random);
  const dataBytes = entries.length > 0 ? Number(entries.at(-1)!.end) : 0;
  while (random.chance(45)) steps.push(mutateEntries(random, entries));
  const plain = random.chance(75);
  if (!plain) steps.push('fields');
  const parts = entries.map((entry) => writeEntry(random, entry, plain));
  if (random.chance(40))
    parts.splice(random.below(parts.length + 1), 0, random.chance(60) ? metadata[0]! : random.pick(metadata));
  let text = `{${parts.join(',')}}`;
  if (random.chance(20)) text += ' '.repeat(random.below(9));
  if (random.chance(4)) {
    steps.push('around');
    text = random.pick([' ', '\n', '[', '\ufeff', '{']) + text + random.pick(['', '}', '\u0000', ' x']);
  }
  let header: Uint8Array = new TextEncoder().encode(text);
  while (random.chance(25)) {
    steps.push('bytes');
    header = mutateBytes(random, header);
  }
  let length: bigint | undefined;
  if (random.chance(6)) {
    steps.push('length');
    const near = BigInt(header.length);
    length = random.pick([
      0n,
      1n,
      near - 1n,
      near + 1n,
      near + 8n,
      2n ** 53n + 1n,
      100_000_000n,
      100_000_001n,
      2n ** 63n,
      2n ** 64n - 1n,
    ]);
    if (length < 0n) length = 0n;
  }
  let bytes = frameHeader(header, dataBytes, length);
  if (random.chance(8)) {
    steps.push('cut');
    bytes = bytes.slice(0, random.below(bytes.length + 1));
  } else if (random.chance(4)) {
    steps.push('grow');
    bytes = Uint8Array.from([...bytes, ...new Uint8Array(1 + random.below(9))]);
  }
  return { bytes, steps };
}
