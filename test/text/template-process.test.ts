import { readFileSync } from 'node:fs';
import { afterEach, expect, test } from 'vitest';
import { TemplateProcess, type TemplateProcessOptions } from '../../src/text/template-process-node.ts';

const processes: TemplateProcess[] = [];
afterEach(async () => {
  await Promise.all(processes.splice(0).map((renderer) => renderer.close()));
});

function start(source: string, options?: TemplateProcessOptions): TemplateProcess {
  const renderer = new TemplateProcess({ source, name: 't.jinja', specialTokens: {} }, options);
  processes.push(renderer);
  return renderer;
}

const echo = '{{ messages[0]["content"] }}';
const loop = '{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}';
const trapped = `${echo}{% if messages[1]["content"] == "trap" %}${loop}{% endif %}`;
const trap = [{ query: 'q', document: 'trap' }];

test('a task that is given up while it runs makes room soon: the next one need not wait for its limit', async () => {
  const renderer = start(trapped);
  await renderer.ready;
  for (let i = 0; i < 5; i++) {
    const controller = new AbortController();
    const given = renderer.render(trap, controller.signal);
    const { pid } = renderer;
    setTimeout(() => controller.abort(), 20);
    await expect(given).rejects.toMatchObject({ code: 'cancelled' });
    expect(await renderer.render([{ query: `next ${i}`, document: 'd' }])).toEqual([`next ${i}`]);
    // The process was killed at it, which a task that ran to its limit would have outlived.
    expect(renderer.pid).not.toBe(pid);
  }
});

test('tasks behind one that is given up are rendered, in order', async () => {
  const renderer = start(trapped);
  await renderer.ready;
  const controller = new AbortController();
  const given = renderer.render(trap, controller.signal).catch((error: Error) => error);
  const others = ['a', 'b', 'c'].map((query) => renderer.render([{ query, document: 'd' }]));
  controller.abort();
  expect(await given).toMatchObject({ code: 'cancelled' });
  expect(await Promise.all(others)).toEqual([['a'], ['b'], ['c']]);
});

test('tasks that are given up and end by themselves do not cost a process each', async () => {
  const renderer = start(echo);
  await renderer.ready;
  const pids = new Set([renderer.pid]);
  for (let i = 0; i < 50; i++) {
    const controller = new AbortController();
    const given = renderer.render([{ query: 'q', document: 'd' }], controller.signal).catch((error: Error) => error);
    controller.abort();
    expect(await given).toMatchObject({ code: 'cancelled' });
    expect(await renderer.render([{ query: 'q', document: 'd' }])).toEqual(['q']);
    pids.add(renderer.pid);
  }
  // One, where the machine is not so busy that a task takes 50 ms.
  expect(pids.size).toBeLessThan(25);
});

test.each([
  ['never gets ready', 'idle-child.ts', 'is not ready after 700 ms'],
  ['ends at once', 'no-such-child.ts', 'ended: exit code 1'],
])('a process that %s: tasks fail by name instead of waiting for ever', async (_, file, words) => {
  const childModule = new URL(`./${file}`, import.meta.url);
  const renderer = start(echo, { childModule, startLimitMs: file === 'idle-child.ts' ? 700 : 20_000 });
  const task = renderer.render([{ query: 'q', document: 'd' }]);
  await expect(task).rejects.toMatchObject({ code: 'engine-stopped' });
  await expect(task).rejects.toThrow(words);
  await renderer.ready;
});

test.runIf(process.platform === 'linux')('it sees of the environment what libraries need, and no secrets', async () => {
  process.env['WGRANK_API_KEY'] = 'a-secret';
  try {
    const renderer = start(echo);
    await renderer.ready;
    const seen = readFileSync(`/proc/${renderer.pid}/environ`, 'utf8')
      .split('\0')
      .map((each) => each.split('=')[0]);
    expect(seen).toContain('PATH');
    expect(
      seen.filter(
        (name) => name !== '' && !/^(PATH|HOME|TMPDIR|TEMP|TMP|LANG|LD_LIBRARY_PATH|NODE_CHANNEL_\w+)$/.test(name!),
      ),
    ).toEqual([]);
  } finally {
    delete process.env['WGRANK_API_KEY'];
  }
});
