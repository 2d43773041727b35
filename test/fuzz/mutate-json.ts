import type { Random } from './random.ts';

/** Written into the text as they stand: numbers that `JSON.stringify` would not write. */
const rawValues = ['1e400', '-0', '1E2', '9007199254740993', '18446744073709551616', '0.1e-400'];
const mark = '@raw:';

function oddValue(random: Random): unknown {
  return random.pick<() => unknown>([
    () => null,
    () => random.chance(50),
    () => random.pick([-1, 0, 1, 1.5, 2 ** 31, -(2 ** 31), 2 ** 53, 1e308]),
    () => `${mark}${random.pick(rawValues)}`,
    () => random.pick(['', 'x', ' ', '__proto__', 'constructor', '\ud800', '\0', '../x', '^(a+)+$', '<s>', '\u2028']),
    () => 'a'.repeat(random.pick([255, 256, 257, 70_000])),
    () => [],
    () => ({}),
    () => [[[[]]]],
    () => JSON.parse('['.repeat(200) + ']'.repeat(200)),
    () => ({ ['type']: random.pick(['Sequence', 'Split', 'Replace', 'BPE', 'ByteLevel', 'NFC', 'Metaspace']) }),
    () => JSON.parse('{"__proto__":{"type":"BPE"},"constructor":1}'),
  ])();
}

/** Changes one place, somewhere in the tree. */
function change(random: Random, value: unknown): void {
  if (typeof value !== 'object' || value === null) return;
  const keys = Object.keys(value);
  if (keys.length === 0) return;
  const container = value as Record<string, unknown>;
  const key = random.pick(keys);
  const child = container[key];
  if (typeof child === 'object' && child !== null && random.chance(75)) return change(random, child);
  const step = random.below(4);
  if (step === 0 && Array.isArray(value)) value.splice(Number(key), 1);
  else if (step === 0) delete container[key];
  else if (step === 1 && Array.isArray(value)) value.push(value[Number(key)]);
  else if (step === 1) container[random.pick(['extra', '__proto__ ', random.pick(keys)])] = child;
  else if (step === 2) container[key] = container[random.pick(keys)];
  else container[key] = oddValue(random);
}

const pieces = ['{', '}', '[', ']', ',', ':', '"', '\\', '0', '-', 'null', '\\ud800', '\u0000', '\ufeff', '"a":1,'];

/** A text that is nearly the sample: other values in its tree, or other bytes. */
export function mutateJson(random: Random, sample: string): Uint8Array {
  let text = sample;
  if (random.chance(70)) {
    const tree: unknown = JSON.parse(sample);
    do change(random, tree);
    while (random.chance(40));
    text = JSON.stringify(tree).replaceAll(new RegExp(`"${mark}([^"]*)"`, 'g'), '$1');
  }
  let bytes = Buffer.from(text);
  while (random.chance(30)) {
    const at = random.below(bytes.length + 1);
    const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)];
    const step = random.below(4);
    if (step === 0 && after.length > 0) bytes[at] = random.below(256);
    else if (step === 1) bytes = Buffer.concat([before, after.subarray(1 + random.below(6))]);
    else if (step === 2) bytes = Buffer.concat([before, Buffer.from(random.pick(pieces)), after]);
    else bytes = Buffer.from(random.below(10) === 0 ? before : bytes);
  }
  return bytes;
}
