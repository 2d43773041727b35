/**
 * Every kernel, one after the other, on one device.
 *
 *   npx tsx bench/ops/all.bench.ts [--tokens N] [--json bench/results/ops-ADAPTER-DRIVER.json]
 */
import { attentionBench } from './attention.bench.ts';
import { elementwiseBench } from './elementwise.bench.ts';
import { embeddingBench } from './embedding.bench.ts';
import { gatherRowsBench } from './gather-rows.bench.ts';
import { runBenches } from './harness.ts';
import { headBench } from './head.bench.ts';
import { injectRowsBench } from './inject-rows.bench.ts';
import { interpolateRowsBench } from './interpolate-rows.bench.ts';
import { layerNormBench } from './layer-norm.bench.ts';
import { patchifyBench } from './patchify.bench.ts';
import { rmsNormBench } from './rms-norm.bench.ts';
import { ropeBench } from './rope.bench.ts';
import { swigluBench } from './swiglu.bench.ts';
import { matmulBench } from './matmul.bench.ts';

await runBenches([
  matmulBench,
  attentionBench,
  embeddingBench,
  layerNormBench,
  rmsNormBench,
  ropeBench,
  swigluBench,
  elementwiseBench,
  gatherRowsBench,
  patchifyBench,
  interpolateRowsBench,
  injectRowsBench,
  headBench,
]);
