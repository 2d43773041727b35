/**
 * The process that renders an operator's chat template. A process and not a thread: a template that asks for one huge string ends a
 * worker's whole process, not the worker. Started by `TemplateProcess` with a small heap.
 */
import process from 'node:process';
import { Script } from 'node:vm';

import { compileTemplate, type ChatTemplate, type RenderPrompt } from './chat-template.ts';
import { longestPrompt, type RenderCommand, type RenderReport } from './template-protocol.ts';
import type { TemplateTexts } from './template-texts.ts';

// Ctrl-C and `systemctl stop` signal the whole group; only the parent decides when rendering may end.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);
process.on('disconnect', () => process.exit(0));

/** Within a script of its own a loop can be stopped from inside the process, so that it ends even when the parent is gone. */
const hook = 'wgrankRender';
const script = new Script(`${hook}()`);
let loaded: { readonly template: ChatTemplate; readonly limitMs: number } | undefined;
let render: RenderPrompt | undefined;

function renderAll(template: ChatTemplate, prompts: readonly TemplateTexts[]): string[] {
  render ??= compileTemplate(template);
  return prompts.map((texts) => {
    const text = render!(texts);
    const limit = longestPrompt(texts);
    if (text.length > limit) throw new Error(`it writes ${text.length} characters for one prompt (at most ${limit})`);
    return text;
  });
}

/** The limit is wall time; a process that got less than half of it, because the machine is busy, is not to blame. */
function runWithin<T>(limitMs: number, id: number, work: () => T): T {
  Reflect.set(globalThis, hook, work);
  for (let round = 1; ; round += 1) {
    const before = process.cpuUsage();
    try {
      return script.runInThisContext({ timeout: limitMs }) as T;
    } catch (error) {
      const { user, system } = process.cpuUsage(before);
      if (!isTimeout(error) || round === maxRounds || (user + system) / 1000 > limitMs / 2) throw error;
      report({ kind: 'starved', id });
    }
  }
}

const maxRounds = 6;

const isTimeout = (error: unknown): boolean =>
  (error as { code?: unknown } | null)?.code === 'ERR_SCRIPT_EXECUTION_TIMEOUT';

function describe(error: unknown, limitMs: number): string {
  if (isTimeout(error)) return `it takes more than ${limitMs} ms`;
  const text = error instanceof Error ? error.message : String(error);
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}

const report = (message: RenderReport): void => void process.send?.(message);

process.on('message', (command: RenderCommand) => {
  if (command.kind === 'load') {
    loaded = command;
    report({ kind: 'ready' });
    return;
  }
  const { template, limitMs } = loaded!;
  const { id, prompts } = command;
  try {
    report({ kind: 'rendered', id, texts: runWithin(limitMs, id, () => renderAll(template, prompts)) });
  } catch (error) {
    report({ kind: 'failed', id, message: describe(error, limitMs) });
  }
});
