import { once } from 'node:events';
import { connect, type AddressInfo } from 'node:net';
import express from 'express';
import { expect, test } from 'vitest';
import { createHttpServer } from '../../src/server/http-server.ts';

test('garbage behind a request does not become part of the answer that is being written', async () => {
  const app = express();
  app.get('/slow', (_request, response) => {
    response.set('Content-Length', '1000').write('x'.repeat(10));
  });
  let broken = 0;
  const server = createHttpServer(app, undefined, () => broken++);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  let heard = '';
  socket.on('data', (chunk) => {
    heard += chunk.toString();
    if (heard.endsWith('x'.repeat(10))) socket.write('no request\r\n\r\n');
  });
  socket.on('error', () => undefined);
  socket.write('GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await once(socket, 'close');
  expect(heard.match(/HTTP\/1\.1/g)).toEqual(['HTTP/1.1']);
  expect(broken).toBe(1);
  server.close();
});
