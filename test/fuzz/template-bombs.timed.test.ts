import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { TemplateProcess } from '../../src/text/template-process-node.ts';
import { showFigures } from '../support/figures.ts';

/** What a template may take: its own limits, and what it takes to end a process. */
const limitMs = 1000;
const limitMegabytes = 64;

const nested = (open: string, close: string, depth: number, inner = '1') =>
  open.repeat(depth) + inner + close.repeat(depth);

const bombs: [string, string][] = [
  ['range(1e9)', '{% for i in range(1000000000) %}x{% endfor %}'],
  ['range(1e308)', '{{ range(1e308) | length }}'],
  ['range(0, 1e9, 1)', '{{ range(0, 1000000000, 1) | sum }}'],
  ['range(1, 2, 0)', '{{ range(1, 2, 0) }}'],
  ['a range of ranges', '{% for i in range(99999) %}{% for j in range(99999) %}{{ i }}{% endfor %}{% endfor %}'],
  [
    'ranges that are kept',
    '{% set n = namespace(a=[]) %}{% for i in range(99999) %}{% set n.a = n.a + [range(99999)] %}{% endfor %}',
  ],
  [
    'a string that doubles',
    '{% set n = namespace(a="x") %}{% for i in range(99) %}{% set n.a = n.a ~ n.a %}{% endfor %}{{ n.a }}',
  ],
  [
    'a string that doubles and is copied',
    '{% set n = namespace(a="x") %}{% for i in range(28) %}{% set n.a = n.a + n.a %}{% endfor %}{{ n.a | upper | length }}',
  ],
  [
    'strings that double and are kept',
    '{% set n = namespace(a=["x"]) %}{% for i in range(60) %}{% set n.a = n.a + [(n.a | last) ~ (n.a | last) | upper] %}{% endfor %}{{ n.a | length }}',
  ],
  [
    'a list that doubles',
    '{% set n = namespace(a=[1]) %}{% for i in range(99) %}{% set n.a = n.a + n.a %}{% endfor %}',
  ],
  [
    'a dictionary in itself, as JSON',
    '{% set n = namespace(a={}) %}{% for i in range(99) %}{% set n.a = {"a": n.a, "b": n.a} %}{% endfor %}{{ n.a | tojson }}',
  ],
  ['a string times a billion', '{{ "a" * 1000000000 }}'],
  ['indent(1e9)', '{{ "a" | indent(1000000000, true) | upper }}'],
  ['indent(2e8)', '{{ ("a" | indent(200000000, true)) | upper | length }}'],
  ['tojson(indent=1e9)', '{{ messages | tojson(indent=1000000000) }}'],
  ['join of much', '{{ range(99999) | join("x" | indent(99999, true)) }}'],
  ['replace of much', '{{ ("aa" | indent(99999, true)) | replace(" ", "x" | indent(99999, true)) }}'],
  ['replace of less', '{{ ("aa" | indent(9999, true)) | replace(" ", "x" | indent(9999, true)) | length }}'],
  ['the method replace', '{{ ("aa" | indent(9999, true)).replace(" ", "x" | indent(9999, true)) | length }}'],
  ['join of less', '{{ range(9999) | join("x" | indent(9999, true)) | length }}'],
  [
    'lists in lists',
    '{% set n = namespace(a=[]) %}{% for i in range(99999) %}{% set n.a = [n.a, range(99999)] %}{% endfor %}',
  ],
  ['split of much', '{{ ("a" | indent(50000000, true)).split(" ") | length }}'],
  ['batches of nothing', '{{ range(99999) | batch(0) | list }}'],
  ['a macro that calls itself', '{% macro m(f) %}{{ f(f) }}{% endmacro %}{{ m(m) }}'],
  ['a macro that calls itself twice', '{% macro m(f) %}{{ f(f) }}{{ f(f) }}{% endmacro %}{{ m(m) }}'],
  [
    'macros that double',
    Array.from(
      { length: 40 },
      (_, i) => `{% macro m${i}() %}${i === 0 ? 'x' : `{{ m${i - 1}() }}{{ m${i - 1}() }}`}{% endmacro %}`,
    ).join('') + '{{ m39() }}',
  ],
  ['a thousand macros in each other', nested('{% macro m() %}', '{% endmacro %}', 1000)],
  ['parentheses', `{{ ${nested('(', ')', 100_000)} }}`],
  ['lists', `{{ ${nested('[', ']', 100_000)} }}`],
  ['dictionaries', `{{ ${nested('{"a":', '}', 50_000)} }}`],
  ['negations', `{{ ${'not '.repeat(100_000)}true }}`],
  ['minus signs', `{{ ${'-'.repeat(100_000)}1 }}`],
  ['sums', `{{ ${'1+'.repeat(200_000)}1 }}`],
  ['filters', `{{ "a"${'|upper'.repeat(100_000)} }}`],
  ['members', `{{ messages${'.a'.repeat(100_000)} }}`],
  ['conditions', nested('{% if true %}', '{% endif %}', 20_000, 'x')],
  ['loops in loops', nested('{% for i in [1,2] %}', '{% endfor %}', 40, 'x')],
  ['open braces', '{{'.repeat(200_000)],
  ['open blocks', '{% if a %}'.repeat(50_000)],
  ['a comment without end', `{#${'-'.repeat(900_000)}`],
  ['a string without end', `{{ "${'\\\\'.repeat(400_000)}`],
  ['spaces before a block', `${' '.repeat(900_000)}x{%- if true -%}${' '.repeat(100_000)}{%- endif -%}`],
  ['newlines', '\r\n'.repeat(400_000) + '{%'],
];

const processes: TemplateProcess[] = [];
afterAll(async () => void (await Promise.all(processes.map((renderer) => renderer.close()))));

/** Memory of a process and its highest so far, MB. */
function memoryOf(pid: string): { now: number; peak: number } | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const field = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]) / 1024;
    const [now, peak] = [field('VmRSS'), field('VmHWM')];
    // One that has ended has a status without these.
    return Number.isNaN(now) ? undefined : { now, peak };
  } catch {
    return undefined;
  }
}

const children = () => readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').split(' ');

async function explode(source: string) {
  const before = new Set(children());
  const renderer = new TemplateProcess({ source, name: 'bomb.jinja', specialTokens: {} });
  processes.push(renderer);
  await renderer.ready;
  const pid = children().find((one) => !before.has(one))!;
  const idle = memoryOf(pid)!.now;
  let peak = 0;
  const look = setInterval(() => (peak = Math.max(peak, memoryOf(pid)?.peak ?? 0)), 5);
  const started = performance.now();
  const outcome = await renderer.render([{ query: 'q', document: 'd' }]).then(
    ([text]) => ({ code: 'rendered', message: text! }),
    (error: { code: string; message: string }) => error,
  );
  const ms = performance.now() - started;
  clearInterval(look);
  return { outcome, ms, grown: Math.max(peak, memoryOf(pid)?.peak ?? 0) - idle };
}

const worst = { ms: 0, megabytes: 0 };
describe.skipIf(process.platform !== 'linux')('templates cannot exhaust', () => {
  test.each(bombs)('%s: stopped within a second and 64 MB, by name', async (_, source) => {
    const { outcome, ms, grown } = await explode(source);
    worst.ms = Math.max(worst.ms, ms);
    worst.megabytes = Math.max(worst.megabytes, grown);
    // What is cheap may be rendered: it stays short.
    if (outcome.code === 'rendered') expect(outcome.message.length).toBeLessThan(1_000_000);
    else expect(outcome.code).toBe('template-invalid');
    expect(outcome.message.length).toBeLessThan(1_000_000);
    expect(ms).toBeLessThanOrEqual(limitMs);
    expect(grown).toBeLessThanOrEqual(limitMegabytes);
  });
  afterAll(() => showFigures(worst));
});
