// Ranks pictures, clips and text files by a query; the server's model has to see for pictures and clips.
// usage: node examples/client/rank-files.mjs BASE_URL QUERY FILE...      (the key, if any, in WGRANK_API_KEY)
import { readFile } from 'node:fs/promises';
import process from 'node:process';
import { RerankApiError, RerankClient, toDataUri } from 'wgrank/client';

const [baseUrl, query, ...files] = process.argv.slice(2);
const client = new RerankClient({ baseUrl, apiKey: process.env.WGRANK_API_KEY });

/** A file's text, or the one part that shows it. */
async function read(file) {
  const bytes = await readFile(file);
  if (/\.(jpe?g|png|webp|gif)$/i.test(file)) return [{ type: 'image_url', image_url: { url: await toDataUri(bytes) } }];
  if (/\.(mp4|mov|webm|mkv)$/i.test(file)) return [{ type: 'video_url', video_url: { url: await toDataUri(bytes) } }];
  return bytes.toString('utf8');
}

try {
  const { results, warnings } = await client.rerank({ query, documents: await Promise.all(files.map(read)) });
  for (const { index, score } of results) console.log(score.toFixed(3), files[index]);
  for (const warning of warnings) console.error(warning);
} catch (error) {
  if (!(error instanceof RerankApiError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
