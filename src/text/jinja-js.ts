import * as library from '@huggingface/jinja';

/** A value of the template language. */
export interface JinjaValue {
  readonly type: string;
  readonly value: unknown;
  /** Methods of a text by their names, made anew for each value. */
  readonly builtins?: ReadonlyMap<string, JinjaFunction>;
}

/** A method. */
export interface JinjaFunction {
  value: (values: readonly JinjaValue[], scope: JinjaEnvironment) => JinjaValue;
}

/** Names in scope. */
export interface JinjaEnvironment {
  set(name: string, value: unknown): JinjaValue;
  lookupVariable(name: string): JinjaValue;
}

interface JinjaInterpreter {
  run(program: unknown): JinjaValue;
  /** Called for every statement and expression, also by itself. */
  evaluate(statement: unknown, scope: JinjaEnvironment): JinjaValue;
  applyFilter(operand: JinjaValue, filter: unknown, scope: JinjaEnvironment): JinjaValue | undefined;
}

interface JinjaLibrary {
  Environment: new () => JinjaEnvironment;
  Interpreter: new (scope: JinjaEnvironment) => JinjaInterpreter;
  tokenize(source: string, options: { trim_blocks: boolean; lstrip_blocks: boolean }): unknown;
  parse(tokens: unknown): unknown;
}

// The package's own declarations use relative paths without extension, which `nodenext` does not resolve: what wgrank
// uses of 0.5.11 is declared above.
export const { Environment, Interpreter, tokenize, parse } = library as unknown as JinjaLibrary;
