import { expect } from 'vitest';

export interface JsonAnswer {
  readonly status: number;
  readonly headers: Headers;
  // oxlint-disable-next-line typescript/no-explicit-any -- tests look into answers of many forms
  readonly body: any;
}

/** Sends a JSON body and reads a JSON answer. */
export async function post(url: string, body: unknown, method = 'POST'): Promise<JsonAnswer> {
  const response = await fetch(url, {
    method,
    headers: { 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text === '' ? undefined : JSON.parse(text) };
}

export async function get(url: string): Promise<JsonAnswer> {
  const response = await fetch(url);
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text === '' ? undefined : JSON.parse(text) };
}

/** The answer of a request that has to succeed. */
export async function ask(url: string, body: unknown): Promise<JsonAnswer['body']> {
  const answer = await post(url, body);
  expect(answer.status, JSON.stringify(answer.body)).toBe(200);
  return answer.body;
}

/** p(relevant) of a logit. */
export const probability = (logit: number): number => 1 / (1 + Math.exp(-logit));

export const anId = expect.stringMatching(/^(score-)?[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/) as string;
