import type { RerankAnswerItem } from '../server/rerank-route.ts';

export interface ExampleOutput {
  print(line: string): void;
  log(line: string): void;
  /** API key to ask with. */
  readonly key?: string | undefined;
}

/** The example of BGE's model card and of SGLang's documentation. */
const request = {
  query: 'what is panda?',
  documents: [
    'hi',
    'The giant panda (Ailuropoda melanoleuca), sometimes called a panda bear or simply panda, is a bear species endemic to China.',
  ],
};

/** Sends one real request over HTTP and prints the ranked answer with a line to try. A failure is logged: the server goes on. */
export async function rankExample(url: string, { print, log, key }: ExampleOutput): Promise<void> {
  const endpoint = `${reachable(url)}/v1/rerank`;
  try {
    const body = JSON.stringify(request);
    const headers = {
      'content-type': 'application/json',
      ...(key !== undefined && { authorization: `Bearer ${key}` }),
    };
    const response = await fetch(endpoint, { method: 'POST', headers, body });
    if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
    // A Jina server has its results in an object.
    const answer = (await response.json()) as
      | RerankAnswerItem[]
      | { results: { index: number; relevance_score: number }[] };
    const ranked = Array.isArray(answer)
      ? answer
      : answer.results.map(({ index, relevance_score: score }) => ({ index, score }));
    print(`\nquery: ${request.query}`);
    // Models that see send no documents back.
    ranked.forEach(({ score, index }, i) =>
      print(`${i + 1}. ${score.toFixed(4).padStart(9)}  ${request.documents[index]}`),
    );
    const ownKey = key === undefined ? '' : `-H 'Authorization: Bearer YOUR-KEY' `;
    print(`\nTry it:\n  curl ${endpoint} ${ownKey}-H 'Content-Type: application/json' \\\n    -d '${body}'\n`);
  } catch (error) {
    log(`the example failed: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** An address that listens everywhere is no address to connect to. */
function reachable(url: string): string {
  return url.replace('//0.0.0.0:', '//127.0.0.1:').replace('//[::]:', '//[::1]:');
}
