import { expect, test } from 'vitest';
import { bareEnvironment, withoutSecrets } from '../../src/process/child-environment.ts';

const kept = {
  PATH: '/bin',
  XDG_RUNTIME_DIR: '/run',
  VK_DRIVER_FILES: '/a.json',
  XAUTHORITY: '/x',
  HTTP_PROXY: 'http://proxy:3128',
  OLDPWD: '/',
};
const secret = {
  WGRANK_API_KEY: 'k',
  HF_TOKEN: 't',
  PGPASSWORD: 'p',
  MYSQL_PWD: 'p',
  SENTRY_DSN: 'https://abc@sentry.example/1',
  OTEL_EXPORTER_OTLP_HEADERS: 'api-key=k',
  AZURE_STORAGE_CONNECTION_STRING: 'AccountKey=k',
  DATABASE_URL: 'postgres://user:secret@db/x',
  MIRROR: 'https://name@host/',
  LIST: 'a=b,https://u:p@h/',
};

test('drivers get everything but what looks like a secret', () => {
  expect(withoutSecrets({ ...kept, ...secret })).toEqual(kept);
});

test('a process that reads what strangers wrote gets what libraries need, and what it asks for', () => {
  expect(bareEnvironment({ ...kept, ...secret })).toEqual({ PATH: '/bin' });
  expect(bareEnvironment({ ...kept, ...secret }, /^VK_/)).toEqual({ PATH: '/bin', VK_DRIVER_FILES: '/a.json' });
});
