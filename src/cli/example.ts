import type { RerankAnswerItem } from '../server/rerank-route.ts';
import type { LaunchOutput } from './launch.ts';

/** The example of BGE's model card and of SGLang's documentation. */
const request = {
  query: 'what is panda?',
  documents: [
    'hi',
    'The giant panda (Ailuropoda melanoleuca), sometimes called a panda bear or simply panda, is a bear species endemic to China.',
  ],
};

/** Sends one real request over HTTP and prints the ranked answer with a line to try. A failure is logged: the server goes on. */
export async function rankExample(url: string, { print, log }: LaunchOutput): Promise<void> {
  const endpoint = `${reachable(url)}/v1/rerank`;
  try {
    const body = JSON.stringify(request);
    const response = await fetch(endpoint, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
    if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
    const ranked = (await response.json()) as RerankAnswerItem[];
    print(`\nquery: ${request.query}`);
    // Models that see send no documents back.
    ranked.forEach(({ score, index }, i) =>
      print(`${i + 1}. ${score.toFixed(4).padStart(9)}  ${request.documents[index]}`),
    );
    print(`\nTry it:\n  curl ${endpoint} -H 'Content-Type: application/json' \\\n    -d '${body}'\n`);
  } catch (error) {
    log(`the example failed: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** An address that listens everywhere is no address to connect to. */
function reachable(url: string): string {
  return url.replace('//0.0.0.0:', '//127.0.0.1:').replace('//[::]:', '//[::1]:');
}
