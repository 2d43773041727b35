import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { expect, test } from 'vitest';

const root = new URL('../..', import.meta.url).pathname;

/** Where a request could leave from. Types leave nothing. @returns what was found, in words */
function doorsIn(source: string): string[] {
  const code = source.replaceAll(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*$/gm, '');
  const moduleOf = (from: string | undefined) => from!.replace(/^node:/, '');
  const named = [...code.matchAll(/\b(?:import|export)\s+(?!type\b)([^'";=(]*?)\s*\bfrom\s*['"]([^'"]+)['"]/g)].flatMap(
    ([, clause, from]) => namesOf(clause!).map((name) => ({ name, from: moduleOf(from) })),
  );
  const bare = [...code.matchAll(/\bimport\s*(['"])(.+?)\1/g)].map(([, , from]) => from);
  // Modules that are asked for while the program runs.
  const asked = [...code.matchAll(/\b(?:import|require|createRequire\([^()]*\))\s*\(([^()]*(?:\([^()]*\))?)/g)];
  const names = asked.map(([, what]) => /^\s*(['"`])((?:(?!\1|\$\{).)+)\1\s*(?:,|$)/s.exec(what!)?.[2]);
  const whole = [...bare, ...names].flatMap((from) => (from ? [{ name: '*', from: moduleOf(from) }] : []));
  const imported = [...named, ...whole].filter(({ name, from }) => leads(name, from));
  const unknown = names.filter((name) => name === undefined);
  return [
    ...imported.map(({ name, from }) => `${name} of ${from}`),
    ...unknown.map(() => 'a module with a variable name'),
    ...[...code.matchAll(globals)].map(([word]) => word),
  ];
}

/** Names that need no import, called or handed on. What other objects call `fetch` is their own. */
const globals =
  /(?<!(?<!globalThis|global|window|self)\??\.)\bfetch\b(?!-)|\b(?:XMLHttpRequest|WebSocket|EventSource|UrlSource|FilePathSource|getBuiltinModule)\b/g;

/** `a, type B, c as d` → a, c; the whole module is `*`. */
function namesOf(clause: string): string[] {
  const list = /\{([\s\S]*)\}/.exec(clause)?.[1];
  if (list === undefined || !clause.trim().startsWith('{')) return ['*'];
  const names = list.split(',').map((name) => name.trim().split(/\s+as\s+/)[0]!);
  return names.filter((name) => name !== '' && !name.startsWith('type '));
}

/** What modules give that waits for others or only computes. */
const harmless: Readonly<Record<string, readonly string[]>> = {
  http: ['createServer', 'STATUS_CODES'],
  net: ['createServer', 'isIP', 'isIPv4', 'isIPv6', 'BlockList'],
  // Starts this package's own files.
  child_process: ['fork'],
};
const leading = /^(?:https?|http2|net|tls|dgram|dns|dns\/promises|child_process)$/;
const clients = /^(?:undici|axios|got|ky|needle|node-fetch|request|superagent|ws)(?:\/|$)/;
const leads = (name: string, from: string): boolean =>
  clients.test(from) || (leading.test(from) && !(harmless[from] ?? []).includes(name));

const allowed: Readonly<Record<string, readonly string[]>> = {
  // The one file that sends requests, and the one that asks where to.
  'src/media/remote-source-node.ts': ['Agent of https', 'request of https'],
  'src/media/resolve-host-node.ts': ['Resolver of dns/promises'],
  // `--example` asks the server that was just started.
  'src/cli/example.ts': ['fetch'],
  // The optional decoder, by its name.
  'src/media/video-decoder-node.ts': ['a module with a variable name'],
  // A thread's first line, which names this package's own file.
  'src/process/start-module-node.ts': ['a module with a variable name'],
  // What tests and operators put in the engine's place.
  'src/server/engine-child.ts': ['a module with a variable name'],
};

test('nothing in src sends requests but the source of remote pictures', () => {
  const files = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => posix.join('src', file))
    // The client for other people's programs, which sends requests and nothing else. Nothing here uses it.
    .filter((file) => !file.startsWith('src/client/'));
  expect(files.length).toBeGreaterThan(50);
  for (const file of files) expect(readFileSync(join(root, file), 'utf8'), file).not.toMatch(/from '[^']*\/client\//);
  const found = files.flatMap((file) => {
    const doors = doorsIn(readFileSync(join(root, file), 'utf8'));
    return doors.length > 0 ? [[file, doors] as const] : [];
  });
  // Exceptions that are not needed any more fail too.
  expect(Object.fromEntries(found)).toEqual(allowed);
});

test.each([
  ["import { createServer, request } from 'node:http';", ['request of http']],
  ["import { createServer, STATUS_CODES, type Agent } from 'node:http';", []],
  ["import type { Agent } from 'node:https';", []],
  ["import http from 'node:http';", ['* of http']],
  ["import * as https from 'https';", ['* of https']],
  ["import {\n  get as read,\n  type Agent,\n} from 'https';", ['get of https']],
  ["import { isIP, connect, type Socket } from 'node:net';", ['connect of net']],
  ["import { Agent } from 'undici';", ['Agent of undici']],
  ["await import('node:tls')", ['* of tls']],
  ["export { request } from 'node:https';", ['request of https']],
  ["export * from 'https';", ['* of https']],
  ["export * as wire from 'node:net';", ['* of net']],
  ["export type { Agent } from 'node:https';", []],
  ["import 'undici';", ['* of undici']],
  ["import 'node:https'", ['* of https']],
  ["import './own.ts';", []],
  ['await import(name)', ['a module with a variable name']],
  ['await import(`node:${name}`)', ['a module with a variable name']],
  ["await import('node:' + name)", ['a module with a variable name']],
  ['await import(`node:https`)', ['* of https']],
  ["require('https'); require(name)", ['* of https', 'a module with a variable name']],
  ["createRequire(import.meta.url)('https')", ['* of https']],
  ['createRequire(import.meta.url)(name)', ['a module with a variable name']],
  ["import(new URL('x', base).href)", ['a module with a variable name']],
  ["process.getBuiltinModule('https')", ['getBuiltinModule']],
  ["process['getBuiltinModule']('https')", ['getBuiltinModule']],
  ['const f = fetch; run(fetch, 1)', ['fetch', 'fetch']],
  ['const f = globalThis.fetch', ['fetch']],
  ['const { fetch } = globalThis', ['fetch']],
  ['const { fetch: f } = globalThis', ['fetch']],
  ["globalThis['fetch'](url)", ['fetch']],
  ['slots.fetch(url)', []],
  ["import { lookup } from 'node:dns/promises';", ['lookup of dns/promises']],
  ["import { fork, spawn } from 'node:child_process';", ['spawn of child_process']],
  ['await fetch(url); globalThis.fetch(url); prefetch(url)', ['fetch', 'fetch']],
  ['new UrlSource(url); new WebSocket(url)', ['UrlSource', 'WebSocket']],
  ['/* fetch(x) */ // fetch(y)', []],
])('%j', (code, doors) => {
  expect(doorsIn(code)).toEqual(doors);
});
