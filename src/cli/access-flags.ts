import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { InvalidArgumentError, type Command, type OptionValues } from 'commander';
import { ApiKeys } from '../server/api-keys.ts';
import type { Environment } from './env-flags.ts';
import { nonEmpty, RepeatableOption } from './flag-values.ts';

/** Who may use the server. */
export interface AccessFlags {
  /** Digests: the keys themselves are forgotten. */
  readonly keys: ApiKeys;
  /** Other machines may use the server without a key. */
  readonly insecure: boolean;
  readonly corsOrigins: readonly string[];
  readonly allowedHosts: readonly string[];
}

export function declareAccessFlags(command: Command): void {
  // The keys are checked later: Commander's messages repeat what was typed.
  const apiKey =
    'clients send this key; repeat it for several. Other users of this machine see it in `ps`, unlike WGRANK_API_KEY';
  command
    .addOption(new RepeatableOption('--api-key <key>', `${apiKey} or a file; default: none`, String))
    .option('--api-key-file <file>', 'file with a key on each line; # begins a comment; default: none', nonEmpty)
    .option('--insecure', 'let other machines use the server without a key')
    .addOption(
      new RepeatableOption(
        '--cors-origin <origin>',
        'pages of this origin may use the server, such as https://app.example.com; repeat it for several; default: none',
        readOrigin,
      ),
    )
    .addOption(
      new RepeatableOption(
        '--allowed-host <name>',
        'clients may ask by this name; repeat it for several; default: the names of loopback, on other addresses any',
        readHost,
      ),
    );
}

/**
 * Reads the keys, and takes them out of the environment, which child processes get and which may be listed.
 * @throws Error with the sentence for the operator
 */
export function readAccessFlags(values: OptionValues, env: Environment): AccessFlags {
  delete env['WGRANK_API_KEY'];
  const typed: readonly string[] = values.apiKey ?? [];
  typed.forEach((key, i) => checkKey(key, `API key ${i + 1} of --api-key or WGRANK_API_KEY`));
  const filed = values.apiKeyFile === undefined ? [] : readKeyFile(values.apiKeyFile);
  return {
    keys: new ApiKeys([...typed, ...filed]),
    insecure: values.insecure === true,
    corsOrigins: values.corsOrigin ?? [],
    allowedHosts: values.allowedHost ?? [],
  };
}

function readKeyFile(file: string): string[] {
  let text;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    throw new Error(`the file of --api-key-file cannot be read: ${file}: ${reason}`, { cause: error });
  }
  const keys = text.split(/\r?\n/).flatMap((line, i) => {
    const key = line.trim();
    if (key === '' || key.startsWith('#')) return [];
    checkKey(key, `line ${i + 1} of ${file}`);
    return [key];
  });
  // An empty file must not open the server.
  if (keys.length === 0) throw new Error(`the file of --api-key-file has no key: ${file}`);
  return keys;
}

/** What every client can send in a header; the comma separates keys in the environment. The key is not repeated. */
function checkKey(key: string, where: string): void {
  if (!/^[\u0021-\u002b\u002d-\u007e]{1,1024}$/.test(key))
    throw new Error(`${where} is not a key: 1 to 1024 visible ASCII characters without spaces and commas`);
}

/** As browsers write it, since it is compared letter by letter. */
function readOrigin(text: string): string {
  const rule =
    'It must be one origin as browsers send it, such as https://app.example.com (repeat the flag for several).';
  const scheme = /^([a-z][a-z\d+.-]*):\/\/[^\s/?#@,*]+$/.exec(text)?.[1];
  const isWeb = scheme === 'http' || scheme === 'https';
  if (scheme === undefined || (isWeb && originOf(text) !== text)) throw new InvalidArgumentError(rule);
  return text;
}

function originOf(url: string): string | undefined {
  return URL.canParse(url) ? new URL(url).origin : undefined;
}

function readHost(text: string): string {
  const isName = /^[a-z\d_]([\w.-]*[a-z\d])?$/i.test(text);
  if (!isName && isIP(text) === 0)
    throw new InvalidArgumentError(
      'It must be one name or address without scheme and port (repeat the flag for several).',
    );
  return text.toLowerCase();
}
