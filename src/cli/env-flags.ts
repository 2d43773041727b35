import { InvalidArgumentError, type Command, type Option } from 'commander';
import { RepeatableOption } from './flag-values.ts';

export type Environment = Record<string, string | undefined>;

const prefix = 'WGRANK_';

/** The twin of a flag: of `--model, --model-path` it is the last name's, WGRANK_MODEL_PATH. */
export function twinOf(option: Option): string {
  return prefix + (option.long ?? '').slice(2).replaceAll('-', '_').toUpperCase();
}

/** Flags with a twin: all that `--help` shows. */
const twinned = (command: Command) => command.options.filter((option) => !option.hidden);

/** Makes `--help` name each flag's default and twin. */
export function describeTwins(command: Command): void {
  const standard = command.createHelp();
  command.configureHelp({
    optionDescription(option) {
      return option.long === '--help' ? standard.optionDescription(option) : describe(option);
    },
  });
}

function describe(option: Option): string {
  return `${option.description} (${[...defaultOf(option), `env: ${twinOf(option)}`].join(', ')})`;
}

/** Some descriptions say in words what happens without the flag. */
function defaultOf(option: Option): string[] {
  if (/\bdefault\b/.test(option.description)) return [];
  if (option.defaultValue !== undefined)
    return [`default: ${option.defaultValueDescription ?? String(option.defaultValue)}`];
  return option.isBoolean() || option.negate ? ['default: off'] : [];
}

/**
 * Gives each flag that the command line left alone the value of its twin. Commander's own `env()` is not used: it takes any text,
 * `false` too, for a switch that is on.
 * @throws Error with the sentence for the operator for a variable that is unknown or has a wrong value
 */
export function applyTwins(command: Command, env: Readonly<Environment>): void {
  const options = new Map(twinned(command).map((option) => [twinOf(option), option]));
  for (const [name, value] of Object.entries(env)) {
    if (!name.startsWith(prefix) || value === undefined || isServiceLink(name, value)) continue;
    const option = options.get(name);
    if (option === undefined) throw unknownVariable(name, [...options.keys()]);
    if (command.getOptionValueSource(option.attributeName()) === 'cli') continue;
    command.setOptionValueWithSource(option.attributeName(), readTwin(name, option, value), 'env');
  }
}

function readTwin(name: string, option: Option, text: string): unknown {
  try {
    if (option instanceof RepeatableOption) return text.split(',').map((item) => option.item(item.trim()));
    // A negated flag switches something off.
    if (option.isBoolean() || option.negate) return readSwitch(text) !== option.negate;
    return option.parseArg?.(text, undefined) ?? text;
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error;
    throw new Error(`environment variable ${name} is '${text}'. ${error.message}`, { cause: error });
  }
}

const switchWords = new Map([
  ...['1', 'true', 'yes', 'on'].map((word) => [word, true] as const),
  ...['0', 'false', 'no', 'off'].map((word) => [word, false] as const),
]);

function readSwitch(text: string): boolean {
  const on = switchWords.get(text.toLowerCase());
  if (on === undefined) throw new InvalidArgumentError(`It must be one of ${[...switchWords.keys()].join(', ')}.`);
  return on;
}

/**
 * Kubernetes gives every container variables for each Service of its namespace. One that is called `wgrank`, or `wgrank-…`, makes
 * WGRANK_PORT=tcp://10.0.0.1:80 and others, which nobody set.
 */
function isServiceLink(name: string, value: string): boolean {
  if (/_SERVICE_(HOST|PORT(_\w+)?)$/.test(name) || /_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$/.test(name))
    return true;
  return name.endsWith('_PORT') && /^(tcp|udp|sctp):\/\//.test(value);
}

function unknownVariable(name: string, known: readonly string[]): Error {
  const [nearest] = known
    .map((other): [string, number] => [other, distance(name, other)])
    .filter(([other, edits]) => edits <= 3 && edits < other.length - prefix.length)
    .toSorted(([, a], [, b]) => a - b);
  const hint = nearest === undefined ? 'wgrank serve --help lists all' : `did you mean ${nearest[0]}?`;
  return new Error(`environment variable ${name} is unknown (${hint})`);
}

/** Edits that make one word of another. source: Levenshtein 1966 */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + Number(a[i - 1] !== b[j - 1])));
    row = next;
  }
  return row.at(-1)!;
}
