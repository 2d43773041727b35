import { Environment, Interpreter, parse, tokenize } from './jinja-js.ts';
import type { JinjaEnvironment, JinjaFunction, JinjaValue } from './jinja-js.ts';
import { longestPrompt } from './template-protocol.ts';
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

/** What the parser makes of `| name(argument, …)`. */
interface FilterCall {
  readonly callee?: { readonly value: unknown };
  readonly args?: readonly { readonly type: string; readonly value: unknown }[];
}

/** How often a text comes in another. */
function countOf(part: string, text: string): number {
  if (part === '') return text.length + 1;
  let count = 0;
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + part.length)) count++;
  return count;
}

/** Elements of a list that a template makes. */
const maxElements = 1_000_000;

class ExactInterpreter extends Interpreter {
  readonly #maxUnits: number;
  readonly #guarded = new WeakSet<JinjaFunction>();

  /** @param maxUnits UTF-16 units of a text that it makes on its way */
  constructor(scope: JinjaEnvironment, maxUnits: number) {
    super(scope);
    this.#maxUnits = maxUnits;
  }

  /** What doubles again and again is stopped while it is small: V8 allows one object more than the heap's limit, however large. */
  override evaluate(statement: unknown, scope: JinjaEnvironment): JinjaValue {
    const result = super.evaluate(statement, scope);
    const { value } = result;
    if (typeof value === 'string') {
      this.#checkUnits(value.length);
      this.#guardReplace(value, result.builtins?.get('replace'));
    }
    if (Array.isArray(value) && value.length > maxElements)
      throw new Error(`it makes a list of ${value.length} elements (at most ${maxElements})`);
    return result;
  }

  /** jinja2: the first of an empty list is undefined, so that `default` applies. The library's is no value of its language. */
  override applyFilter(operand: JinjaValue, filter: unknown, scope: JinjaEnvironment): JinjaValue {
    this.#checkJoin(operand, filter as FilterCall, scope);
    return super.applyFilter(operand, filter, scope) ?? new Environment().lookupVariable('undefined');
  }

  #checkUnits(units: number): void {
    if (units > this.#maxUnits)
      throw new Error(`it makes ${units} characters for one prompt (at most ${this.#maxUnits})`);
  }

  // `join` and `replace` make at once what may be thousands of times larger than what they are given.

  #checkJoin({ value }: JinjaValue, { callee, args }: FilterCall, scope: JinjaEnvironment): void {
    if (callee?.value !== 'join' || !Array.isArray(value)) return;
    const [first] = args ?? [];
    const separator =
      first && this.evaluate(first.type === 'KeywordArgumentExpression' ? first.value : first, scope).value;
    const elements = (value as readonly JinjaValue[]).reduce((sum, { value: one }) => sum + String(one).length, 0);
    this.#checkUnits(elements + value.length * String(separator ?? '').length);
  }

  #guardReplace(text: string, replace: JinjaFunction | undefined): void {
    if (replace === undefined || this.#guarded.has(replace)) return;
    this.#guarded.add(replace);
    const real = replace.value;
    replace.value = (values, scope) => {
      const [before, after] = values.map(({ value }) => String(value));
      this.#checkUnits(countOf(before ?? '', text) * (after ?? '').length);
      return real(values, scope);
    };
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
  return (texts) => {
    const { query, document, instruct } = texts;
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
    return String(new ExactInterpreter(scope, longestPrompt(texts)).run(program).value);
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
