/**
 * wgrank against onnxruntime-node's WebGPU EP: same adapter, same weights, same tokens, same run.
 *
 *   npx tsx bench/peers/ort-webgpu.bench.ts --model FOLDER [--tokens 288] [--batch 1] [--rounds 3]
 *       [--only ort|wgrank] [--forms plain,gemm-nn] [--cpu] [--json FILE]
 *
 * README.md says how to make the folder and how to read the table.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { countFlops, randomDocuments } from './workload.ts';
import { EngineChild } from './engine-child.ts';
import { ModelFolder } from './model-folder.ts';
import { describeMachine, formatTable, summarise, type EngineResult } from './report.ts';
import { graphForms, writeXlmRoberta } from './xlm-roberta-graph.ts';

const { values: options } = parseArgs({
  options: {
    model: { type: 'string' },
    tokens: { type: 'string', default: '288' },
    batch: { type: 'string', default: '1' },
    rounds: { type: 'string', default: '3' },
    only: { type: 'string' },
    forms: { type: 'string', default: 'plain,gemm-nn' },
    cpu: { type: 'boolean', default: false },
    json: { type: 'string' },
  },
});

const CACHE = join(import.meta.dirname, '.models');
if (options.model === undefined) throw new Error('--model FOLDER is missing (README.md says how to make one)');
const modelDir = resolve(options.model);
const tokens = Number(options.tokens);
const batch = Number(options.batch);
const rounds = Number(options.rounds);
const model = new ModelFolder(modelDir);
const documents = randomDocuments(model.config, batch, tokens);
const flopsPerDocument = countFlops(model.config, tokens);

const wanted: { name: string; engine: 'ort-webgpu' | 'ort-cpu' | 'wgrank'; model: string }[] = [];
if (options.only !== 'ort') wanted.push({ name: 'wgrank', engine: 'wgrank', model: modelDir });
if (options.only !== 'wgrank') {
  mkdirSync(CACHE, { recursive: true });
  const forms = options.forms.split(',');
  for (const name of forms) {
    const form = graphForms[name];
    if (form === undefined)
      throw new Error(`no graph form "${name}" (there are ${Object.keys(graphForms).join(', ')})`);
    const path = join(CACHE, `${basename(modelDir)}-${batch}x${tokens}-${name}.onnx`);
    writeXlmRoberta(path, model, form, batch, tokens);
    wanted.push({ name: `ORT WebGPU EP (${name})`, engine: 'ort-webgpu', model: path });
  }
  const path = join(CACHE, `${basename(modelDir)}-${batch}x${tokens}-${forms[0] ?? ''}.onnx`);
  if (options.cpu) wanted.push({ name: 'ORT CPU EP', engine: 'ort-cpu', model: path });
}

const children: EngineChild[] = [];
try {
  for (const { name, engine, model: path } of wanted) {
    const child = await EngineChild.start(name, {
      engine,
      model: path,
      ids: documents,
      padTokenId: model.config.pad_token_id,
    });
    children.push(child);
    // The first run compiles pipelines and allocates; it is reported, not counted.
    await child.warmUp();
    console.error(
      `${name}: ready in ${(child.loadMs / 1000).toFixed(1)} s, first run ${(child.firstRunMs / 1000).toFixed(2)} s`,
    );
  }
  // Interleaved: A B A B …, so that a busy machine disturbs every engine alike.
  for (let round = 0; round < rounds; round++) {
    for (const child of children) {
      const { ms, cpuMs } = await child.run();
      console.error(
        `round ${round + 1} ${child.name}: ${(ms / 1000).toFixed(3)} s (CPU ${(cpuMs / 1000).toFixed(3)} s)`,
      );
    }
  }
} finally {
  for (const child of children) child.stop();
}

const results: EngineResult[] = children.map((child) => summarise(child, batch, flopsPerDocument));
const report = {
  date: new Date().toISOString(),
  command: `npx tsx bench/peers/ort-webgpu.bench.ts ${process.argv
    .slice(2)
    .map((word) => word.replace(modelDir, basename(modelDir)))
    .join(' ')}`,
  machine: describeMachine(),
  model: { folder: basename(modelDir), ...model.config },
  tokens,
  batch,
  rounds,
  flopsPerDocument,
  ids: documents,
  results,
};
console.log(formatTable(results, flopsPerDocument, tokens));
const file = options.json ?? join(import.meta.dirname, '..', 'results', `peer-ort-${report.date.slice(0, 10)}.json`);
mkdirSync(dirname(file), { recursive: true });
writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`);
console.log(`written: ${file}`);

const scores = results.map((result) => result.scores[0] ?? Number.NaN);
const spread = Math.max(...scores) - Math.min(...scores);
if (!(spread <= 1e-3)) {
  console.error(`scores differ by ${spread} (limit 1e-3): the engines do not compute the same model`);
  process.exitCode = 1;
}
