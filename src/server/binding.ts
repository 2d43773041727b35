import { BlockList, isIP } from 'node:net';
import { WgrankError } from '../errors.ts';
import type { ApiKeys } from './api-keys.ts';

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** Whether a name or address, as in `--host` or a Host header without port and brackets, is this machine's own. */
export function isLoopback(host: string): boolean {
  if (host.toLowerCase() === 'localhost') return true;
  const version = isIP(host);
  return version !== 0 && loopback.check(host, version === 6 ? 'ipv6' : 'ipv4');
}

export interface Binding {
  readonly host: string;
  readonly keys: ApiKeys;
  /** The operator knows that whoever reaches the server can use it. */
  readonly insecure: boolean;
  /** What was typed after the program's name, for the message. */
  readonly commandLine: readonly string[];
}

/**
 * A server that other machines reach needs a key, or the operator's word. The deliberate difference to SGLang, which starts open.
 * @throws WgrankError `launch-refused` with the command lines that would start
 */
export function checkBinding({ host, keys, insecure, commandLine }: Binding): void {
  if (insecure || keys.count > 0 || isLoopback(host)) return;
  throw new WgrankError(
    'launch-refused',
    'serve',
    `--host ${host} would let whoever reaches this machine use the server: there is no API key. Make one and start with it:\n` +
      `  openssl rand -hex 32 > wgrank-keys.txt\n` +
      `  ${withFlag(commandLine, '--api-key-file wgrank-keys.txt')}\n` +
      `Or, where a firewall, a proxy or a container's own network keeps strangers out, say so:\n` +
      `  ${withFlag(commandLine, '--insecure')}`,
  );
}

/** The flag goes right behind the command: what ends a command line may take several values. */
function withFlag([command = 'serve', ...rest]: readonly string[], flag: string): string {
  return ['wgrank', quote(command), flag, ...rest.map(quote)].join(' ');
}

/** For POSIX shells. */
function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
