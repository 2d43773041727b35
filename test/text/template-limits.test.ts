import { afterAll, describe, expect, test } from 'vitest';

import { readChatTemplate } from '../../src/text/find-template-node.ts';
import { templatePrompt } from '../../src/text/template-prompt.ts';
import { TemplateProcess } from '../../src/text/template-process-node.ts';
import { closeAll, modelFolder } from './model-folder.ts';

const processes: TemplateProcess[] = [];

function start(source: string): TemplateProcess {
  const renderer = new TemplateProcess({ source, name: 't.jinja', specialTokens: {} });
  processes.push(renderer);
  return renderer;
}

afterAll(async () => {
  await Promise.all(processes.map((renderer) => renderer.close()));
  await closeAll();
});

const fault = (message: RegExp): unknown =>
  expect.objectContaining({ code: 'template-invalid', message: expect.stringMatching(message) as string });
const prompt = { query: 'q', document: 'd' };

const hostile: [string, string, RegExp][] = [
  [
    'a loop without end',
    '{% for i in range(99999) %}{% for j in range(99999) %}{{ i }}{% endfor %}{% endfor %}',
    /500 ms/,
  ],
  ['a loop over a billion', '{% for i in range(1000000000) %}x{% endfor %}', /range\(\) of 1000000000 numbers/],
  [
    'a list that doubles',
    '{% set n = namespace(a=[1]) %}{% for i in range(99) %}{% set n.a = n.a + n.a %}{% endfor %}',
    /list of \d+ elements/,
  ],
  [
    'a text that doubles',
    '{% set n = namespace(a="x") %}{% for i in range(40) %}{% set n.a = n.a + n.a %}{% endfor %}{{ n.a }}',
    /524288 characters for one prompt/,
  ],
  ['one huge string', '{{ "a" | indent(200000000, true) }}', /200000001 characters for one prompt \(at most \d+\)/],
  ['one huge string that is copied', '{{ ("a" | indent(200000000, true)) | upper | length }}', /200000001 characters/],
  ['a megabyte', `{% for i in range(9999) %}${'0123456789'.repeat(10)}{% endfor %}`, /999900 characters|500 ms/],
  ['a macro that calls itself', '{% macro m(f) %}{{ f(f) }}{% endmacro %}{{ m(m) }}', /call stack|500 ms/],
  ['an exception', '{{ raise_exception("roles must alternate") }}', /t.jinja fails: roles must alternate/],
  ['a syntax error', '{% if %}', /t.jinja fails: Unexpected token/],
  ['a filter that nobody knows', '{{ messages | frobnicate }}', /frobnicate/],
  ['a way out of the sandbox', '{{ messages.constructor.constructor("return process")() }}', /not a function/],
  ['a division by a step of zero', '{{ range(1, 2, 0) }}', /range\(\) of/],
];

describe('templates that break their limits', () => {
  test.each(hostile)('%s: a named error, soon', async (_, source, message) => {
    const renderer = start(source);
    await renderer.ready;
    const started = performance.now();
    await expect(renderer.render([prompt])).rejects.toEqual(fault(message));
    // A second on a machine of its own.
    expect(performance.now() - started).toBeLessThan(5000);
  });

  test.each([
    ['loops', '{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}', /more than 500 ms/],
    [
      'fills its memory',
      '{% set n = namespace(a=[]) %}{% for i in range(99999) %}{% set n.a = [n.a, range(99999)] %}{% endfor %}',
      /more than (500 ms|64 MB)/,
    ],
    ['throws', '{{ raise_exception("no") }}', /fails: no/],
  ])('a template that %s over one text fails that call; its neighbours are answered', async (_, body, message) => {
    const renderer = start(`{{ messages[0]["content"] }}{% if messages[1]["content"] == "trap" %}${body}{% endif %}`);
    const calls = ['a', 'trap', 'b', 'trap', 'c'].map((document) => renderer.render([{ query: document, document }]));
    const outcomes = await Promise.allSettled(calls);
    expect(outcomes.map(({ status }) => status)).toEqual([
      'fulfilled',
      'rejected',
      'fulfilled',
      'rejected',
      'fulfilled',
    ]);
    expect(outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? outcome.value : []))).toEqual([
      'a',
      'b',
      'c',
    ]);
    await expect(renderer.render([{ query: 'q', document: 'trap' }])).rejects.toEqual(fault(message));
  });

  test('a long text is not megabytes of the template’s own', async () => {
    const renderer = start('{{ messages[0]["content"] }}{{ messages[1]["content"] }}');
    const document = 'é '.repeat(4 * 2 ** 20);
    expect((await renderer.render([{ query: 'q', document }]))[0]!.length).toBe(document.length + 1);
  });

  test('a call that is given up leaves the others alone; closing rejects what is pending', async () => {
    const renderer = start('{{ messages[0]["content"] }}');
    const controller = new AbortController();
    const calls = [renderer.render([prompt]), renderer.render([prompt], controller.signal), renderer.render([prompt])];
    controller.abort();
    const outcomes = await Promise.allSettled(calls);
    expect(outcomes[1]).toMatchObject({ status: 'rejected', reason: { code: 'cancelled' } });
    expect([outcomes[0], outcomes[2]]).toMatchObject([{ value: ['q'] }, { value: ['q'] }]);
    const pending = renderer.render([prompt]).catch((error: { code: string }) => error.code);
    await renderer.close();
    expect(await pending).toBe('engine-stopped');
    await expect(renderer.render([prompt])).rejects.toMatchObject({ code: 'engine-stopped' });
  });
});

describe('at start a template is refused', () => {
  const query = '{{ messages[0]["content"] }}';
  const document = '{{ messages[1]["content"] }}';
  test.each([
    ['that loses the document', query, /loses the document.*examples\/chat_template\/qwen3_reranker.jinja/],
    ['that loses the query', document, /loses the query/],
    [
      'that has roles of conversations',
      '{% for m in messages %}{% if m.role == "user" %}{{ m.content }}{% endif %}{% endfor %}',
      /loses the query/,
    ],
    [
      'that loses the document when there is an instruction',
      `${query}{% if not instruct %}${document}{% endif %}`,
      /loses the document/,
    ],
    [
      'that writes numbers of characters',
      '{{ messages[0]["content"] | length }}{{ messages[1]["content"] | length }}',
      /loses the query/,
    ],
    ['that is empty', '', /loses the query/],
    ['that throws', '{{ raise_exception("no") }}', /fails: no/],
    ['that loops', hostile[0]![1], /500 ms/],
  ])('%s', async (_, source, message) => {
    const options = { name: 't.jinja', renderer: start(source), escape: false };
    await expect(templatePrompt(options)).rejects.toEqual(fault(message));
  });

  test.each<[string, () => string, RegExp]>([
    ['that does not exist', () => '/nonexistent.jinja', /nonexistent.jinja does not exist \(wgrank brings examples/],
    ['that is a folder', () => modelFolder(), /is not a regular file/],
    ['that is a megabyte', () => `${modelFolder({ t: ' '.repeat(2 ** 20 + 1) })}/t`, /has 1048577 bytes/],
  ])('%s', async (_, chatTemplate, message) => {
    await expect(readChatTemplate(chatTemplate(), modelFolder())).rejects.toEqual(fault(message));
  });
});
