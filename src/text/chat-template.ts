import { Environment, Interpreter, parse, tokenize } from './jinja-js.ts';
import type { JinjaEnvironment, JinjaValue } from './jinja-js.ts';
import { textOf, type TemplateContent, type TemplateTexts } from './template-texts.ts';

/**
 * How a template is read.
 * `sglang`: query and document are `messages[0]` and `messages[1]`, or lists of parts by these names; jinja2's defaults; the file
 * is stripped of newlines at both ends, and `\n` in two characters is a newline.
 * `roles`: messages have the roles query, document and system, as Hugging Face's repositories and vLLM have them; blocks are
 * trimmed as transformers does.
 */
export type TemplateDialect = 'sglang' | 'roles';

/** A template as a file holds it. */
export interface ChatTemplate {
  readonly source: string;
  /** What to call it in errors. */
  readonly name: string;
  /** `bos_token` and the like, which transformers puts in scope. */
  readonly specialTokens: Readonly<Record<string, string>>;
}

/** Templates that take messages by index are SGLang's, and those that know no messages; one that looks at roles is not. */
export function dialectOf(source: string): TemplateDialect {
  const code = source.replace(/\{#[\s\S]*?#\}/g, '');
  if (!/\bmessages\b/.test(code) && /\bquery\b/.test(code) && /\bdocument\b/.test(code)) return 'sglang';
  return /messages\s*\[\s*[01]\s*\]/.test(source) && !/\brole\b/.test(source) ? 'sglang' : 'roles';
}

/** SGLang's test for a reranker's template. source: sglang `serving_rerank.py` */
export function isRerankerTemplate(source: string): boolean {
  const text = source.toLowerCase().replaceAll('\\"', '"');
  return text.includes('answer can only be') && text.includes('"yes"') && text.includes('"no"');
}

/** Renders one prompt. */
export type RenderPrompt = (texts: TemplateTexts) => string;

/** jinja2: the first of an empty list is undefined, so that `default` applies. The library's is no value of its language. */
class ExactInterpreter extends Interpreter {
  override applyFilter(operand: JinjaValue, filter: unknown, scope: JinjaEnvironment): JinjaValue {
    return super.applyFilter(operand, filter, scope) ?? new Environment().lookupVariable('undefined');
  }
}

/** Parses a template. @throws Error of the jinja library; its time and memory are the caller's to limit */
export function compileTemplate({ source, specialTokens }: ChatTemplate): RenderPrompt {
  const dialect = dialectOf(source);
  // jinja2 reads every kind of line end as LF.
  let text = source.replace(/\r\n?/g, '\n');
  if (dialect === 'sglang') text = text.replace(/^\n+|\n+$/g, '').replaceAll('\\n', '\n');
  const trim = dialect === 'roles';
  const program = parse(tokenize(text, { trim_blocks: trim, lstrip_blocks: trim }));
  return ({ query, document, instruct }) => {
    const messages: { role: string; content: TemplateContent }[] = [
      { role: 'query', content: query },
      { role: 'document', content: document },
    ];
    if (instruct) messages.push({ role: 'system', content: instruct });
    // Empty counts as absent: the template's default stands.
    const instruction = textOf(instruct ?? '');
    const asked = instruction === '' ? {} : { instruct: instruction, instruction };
    const lists = dialect === 'sglang' && typeof query !== 'string' ? { query, document } : {};
    const scope = new Environment();
    const names = { ...globals, ...specialTokens, messages, add_generation_prompt: true, ...asked, ...lists };
    for (const [name, value] of Object.entries(names)) scope.set(name, value);
    return String(new ExactInterpreter(scope).run(program).value);
  };
}

/** What jinja2 and transformers put in scope, without the clock: a score must not depend on it. */
const globals = {
  true: true,
  false: false,
  none: null,
  True: true,
  False: false,
  None: null,
  raise_exception: (message: unknown): never => {
    throw new Error(String(message));
  },
  range: (...bounds: number[]): number[] => {
    const [start, stop, step] = bounds.length === 1 ? [0, bounds[0]!, 1] : [bounds[0]!, bounds[1]!, bounds[2] ?? 1];
    const count = Math.max(0, Math.ceil((stop - start) / step));
    if (!(count <= maxRange)) throw new Error(`range() of ${count} numbers (at most ${maxRange})`);
    return Array.from({ length: count }, (_, i) => start + i * step);
  },
};
const maxRange = 100_000;
