/**
 * Compares wgrank's ids with those of the Rust library, text by text.
 *
 *     python scripts/make-tokenizer-fixtures.py --random 20000 --form ties > ids.jsonl
 *     npx tsx scripts/compare-tokenizer-ids.ts ties ids.jsonl
 *
 * The first argument is a form of that script or of make-qwen-fixtures.py, or the path of a tokenizer.json.
 */
import { createReadStream, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

import { bpeForms, bpeFormText, formText, forms, tokenizerOf } from '../test/text/forms.ts';

const [name = 'published', file = ''] = process.argv.slice(2);
const form = forms.find((known) => known === name);
const bpeForm = bpeForms.find((known) => known === name);
const tokenizer = tokenizerOf(readForm());
let texts = 0;
let tokens = 0;
let mismatches = 0;
for await (const line of createInterface({ input: createReadStream(file) })) {
  const { text, ids } = JSON.parse(line) as { text: string; ids: number[] };
  const ours = tokenizer.encode(text);
  texts += 1;
  tokens += ids.length;
  if (ours.join() === ids.join()) continue;
  mismatches += 1;
  if (mismatches <= 10) console.log(JSON.stringify({ text, rust: ids, ours }));
}
console.log(`${name}: ${texts} texts, ${tokens} tokens, ${mismatches} mismatches`);
process.exitCode = mismatches === 0 ? 0 : 1;

function readForm(): string {
  if (form !== undefined) return formText(form);
  return bpeForm === undefined ? readFileSync(name, 'utf8') : bpeFormText(bpeForm);
}
