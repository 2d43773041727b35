import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createApp } from '../../src/server/app.ts';
import { RerankerSlot } from '../../src/server/reranker-slot.ts';
import { createFakeReranker, listen, startApp, type RunningApp } from './fake-reranker.ts';

async function get(app: RunningApp, path: string): Promise<{ status: number; body: any }> {
  const response = await fetch(`${app.url}${path}`);
  return { status: response.status, body: await response.json() };
}

describe.each([
  ['a hub id', { model: 'BAAI/bge-reranker-v2-m3' }, undefined, 'BAAI/bge-reranker-v2-m3'],
  ['a folder', { model: '/models/my model' }, undefined, '/models/my model'],
  ['--served-model-name', { model: '/models/x' }, 'rank', 'rank'],
])('named by %s', (_, info, servedModelName, id) => {
  let app: RunningApp;
  beforeAll(async () => {
    const options = servedModelName === undefined ? {} : { servedModelName };
    app = await startApp(createFakeReranker({ ...info, maxTokens: 8192 }), options);
  });
  afterAll(() => app.close());

  const card = { id, object: 'model', owned_by: 'wgrank', root: id, max_model_len: 8192 };

  test('/v1/models is OpenAI’s list', async () => {
    const { status, body } = await get(app, '/v1/models');
    expect(status).toBe(200);
    expect(body).toEqual({ object: 'list', data: [{ ...card, created: expect.any(Number) }] });
    expect(Math.abs(body.data[0].created - Date.now() / 1000)).toBeLessThan(60);
  });

  test.each(['plain', 'encoded'])('/v1/models/{id}, %s', async (form) => {
    const path = form === 'plain' ? encodeURI(id) : encodeURIComponent(id);
    expect(await get(app, `/v1/models/${path}`)).toEqual({
      status: 200,
      body: { ...card, created: expect.any(Number) },
    });
  });

  test('another id is unknown', async () => {
    const { status, body } = await get(app, `/v1/models/${encodeURI(id)}x`);
    expect(status).toBe(404);
    expect(body).toMatchObject({ object: 'error', message: 'The model does not exist', code: 404 });
    expect(body.error).toEqual({ message: 'The model does not exist', type: 'NotFoundError', param: null, code: 404 });
  });
});

test.each([
  ['cross-encoder', false, false],
  ['text-decoder', true, false],
  ['vl-decoder', true, true],
] as const)('/get_model_info of a %s has SGLang’s keys', async (kind, is_generation, has_image_understanding) => {
  const app = await startApp(createFakeReranker({ kind, model: 'm', architecture: 'A' }), { servedModelName: 's' });
  for (const path of ['/get_model_info', '/model_info']) {
    expect(await get(app, path)).toEqual({
      status: 200,
      body: {
        model_path: 'm',
        tokenizer_path: 'm',
        is_generation,
        preferred_sampling_params: null,
        weight_version: 'default',
        has_image_understanding,
        has_audio_understanding: false,
        architectures: ['A'],
      },
    });
  }
  await app.close();
});

test('/get_server_info has those of SGLang’s keys that mean something here', async () => {
  const info = { kind: 'text-decoder', model: 'm', dtype: 'f16', maxTokens: 4096 } as const;
  const app = await startApp(createFakeReranker(info), { servedModelName: 's' });
  for (const path of ['/get_server_info', '/server_info']) {
    expect(await get(app, path)).toEqual({
      status: 200,
      body: {
        model_path: 'm',
        tokenizer_path: 'm',
        served_model_name: 's',
        dtype: 'float16',
        context_length: 4096,
        tp_size: 1,
        dp_size: 1,
        status: 'ready',
        version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      },
    });
  }
  await app.close();
});

test('/health_generate asks the model, as SGLang’s balancers expect', async () => {
  const slot = new RerankerSlot();
  const app = await listen(createApp(slot));
  expect((await get(app, '/health')).status).toBe(200);
  expect((await get(app, '/health_generate')).status).toBe(503);
  slot.fill(createFakeReranker());
  expect(await get(app, '/health_generate')).toEqual({ status: 200, body: { status: 'ready' } });
  await app.close();
});

test.each(['/v1/models', '/models', '/v1/models/m'])('%s tells its errors flat and inside error', async (path) => {
  const app = await listen(createApp(new RerankerSlot()));
  const failure = { message: 'The model is still loading. Please retry later.', type: '503', param: null, code: 503 };
  expect(await get(app, path)).toEqual({ status: 503, body: { object: 'error', ...failure, error: failure } });
  expect((await get(app, `/sglang${path}`)).body).toEqual({ object: 'error', ...failure });
  await app.close();
});
