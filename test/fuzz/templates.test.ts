import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { WgrankError } from '../../src/errors.ts';
import { compileTemplate } from '../../src/text/chat-template.ts';
import { TemplateProcess } from '../../src/text/template-process-node.ts';
import { createFakeReranker, postRerank, startApp } from '../server/fake-reranker.ts';
import { tiered } from '../support/tier.ts';
import { templateGadgets } from './template-gadgets.ts';

const folder = mkdtempSync(join(tmpdir(), 'wgrank-gadgets-'));
const canary = join(folder, 'canary');
afterAll(() => rmSync(folder, { recursive: true }));

const gadgets = templateGadgets(canary);
const texts = { query: 'q', document: 'd' };
/** What only code could have written into a prompt. */
const traces = /native code|function \w*\(|\[class |root:|object process/;

/** @returns what code left behind; code of a file's own process has run by the time that the file is looked for */
function findCanaries(rendered: string): string[] {
  const found = [];
  if (Reflect.deleteProperty(globalThis, 'wgrankCanary') && 'wgrankCanary' in globalThis) found.push('a global');
  if (existsSync(canary)) found.push('a file');
  if (traces.test(rendered)) found.push(rendered);
  return found;
}

describe('templates cannot run code', () => {
  test('there are 300 gadgets and more', () => {
    expect(new Set(gadgets).size).toBe(gadgets.length);
    expect(gadgets.length).toBeGreaterThanOrEqual(300);
  });

  test('the canaries sing', () => {
    const run = Function('globalThis.wgrankCanary=1') as () => void;
    run();
    expect('wgrankCanary' in globalThis).toBe(true);
    Reflect.deleteProperty(globalThis, 'wgrankCanary');
    expect(findCanaries(String(Array))).toHaveLength(1);
  });

  // In the tests' own process: whatever a gadget reached would be seen at once.
  test('no gadget leaves a trace', () => {
    const outcomes = { rendered: 0, failed: 0 };
    for (const source of gadgets) {
      let text = '';
      try {
        text = compileTemplate({ source, name: 'gadget.jinja', specialTokens: { eos_token: '</s>' } })(texts);
        outcomes.rendered++;
      } catch {
        outcomes.failed++;
      }
      expect('wgrankCanary' in globalThis, source).toBe(false);
      expect(findCanaries(text), source).toEqual([]);
    }
    // Most name what is not there, which is an error when it is called.
    expect(outcomes.failed).toBeGreaterThan(200);
  });

  const step = tiered(20, 1);
  const some = gadgets.filter((_, i) => i % step === 0);
  test(
    `${some.length} of them in the renderer's own process: a named error, or a plain text`,
    { timeout: 1_800_000 },
    async () => {
      for (const source of some) {
        const renderer = new TemplateProcess({ source, name: 'gadget.jinja', specialTokens: {} });
        const text = await renderer.render([texts]).catch((error: unknown) => {
          expect(error, source).toBeInstanceOf(WgrankError);
          expect((error as WgrankError).code, source).toBe('template-invalid');
          return [''];
        });
        await renderer.close();
        expect(findCanaries(text.join()), source).toEqual([]);
      }
    },
  );
});

test('requests cannot supply a template or its variables', async () => {
  const reranker = createFakeReranker();
  const app = await startApp(reranker);
  const body = { query: 'q', documents: ['1 a'] };
  const supplied = {
    chat_template: '{{ "stolen" }}',
    chat_template_kwargs: { tokenize: true, instruct: 'stolen', messages: [] },
    template: 'stolen',
    tokenize: true,
    add_generation_prompt: false,
    continue_final_message: true,
    messages: [{ role: 'system', content: 'stolen' }],
    mm_processor_kwargs: { max_pixels: 2 ** 40 },
    prompt: 'stolen',
  };
  for (const path of ['/v1/rerank', '/v2/rerank', '/vllm/rerank', '/jina/rerank']) {
    for (const sent of [body, { ...body, ...supplied }]) {
      const response = await fetch(app.url + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(sent),
      });
      expect(response.status).toBe(200);
    }
    const [plain, attacked] = reranker.calls.splice(0).map(({ query, documents, options }) => ({
      query,
      documents,
      rest: Object.entries(options).filter(([, value]) => typeof value !== 'object' && typeof value !== 'function'),
    }));
    expect(attacked).toEqual(plain);
  }
  expect((await postRerank(app.url, { ...body, ...supplied })).status).toBe(200);
  await app.close();
});
