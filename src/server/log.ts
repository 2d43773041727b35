import process from 'node:process';
import { pino, type Logger } from 'pino';
import { prettyFactory } from 'pino-pretty';

export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];
/** `auto`: for people on a terminal, else JSON. */
export type LogFormat = 'auto' | 'json' | 'pretty';
export type { Logger };

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** Default: stderr, which is `isTerminal` when it says so. */
  readonly destination?: { write(line: string): unknown };
  readonly isTerminal?: boolean;
}

const stderr = 2;
/** Lines that wait for a reader who does not read; more are dropped, since a log must not fill the memory or stop the server. */
const maxBacklogBytes = 8 * 1024 * 1024;

/**
 * One line per event, JSON or for people. Nothing in a line can end it or steer a terminal: control characters, line and
 * paragraph separators and directional marks appear as escapes, wherever they come from.
 */
export function createLogger({ level, format, destination, isTerminal }: LogOptions): Logger {
  const terminal = isTerminal ?? (destination === undefined && process.stderr.isTTY === true);
  const pretty = format === 'pretty' || (format === 'auto' && terminal);
  const print = prettyFactory({ colorize: terminal, translateTime: 'SYS:HH:MM:ss.l', singleLine: true });
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: describeError },
      hooks: { streamWrite: (line) => (pretty ? print(escapeTwice(line)) : escapeHidden(line)) },
    },
    destination ?? openStderr(),
  );
}

function openStderr() {
  const stream = pino.destination({ dest: stderr, sync: false, maxLength: maxBacklogBytes });
  // A full disk or a reader that went away costs the log, not the server.
  stream.on('error', () => undefined);
  return stream;
}

/** C1 controls, delete, separators and directional marks, which JSON leaves as they are. */
const hidden = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** @param json text; what is hidden in it can only be in its strings */
function escapeHidden(json: string): string {
  return json.replace(hidden, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Makes escapes of control characters survive one more reading: the pretty printer shows them as they are written. */
function escapeTwice(json: string): string {
  const end = json.endsWith('\n') ? '\n' : '';
  const text = escapeHidden(json.slice(0, json.length - end.length));
  return text.replace(/\\(\\|u[\da-f]{4}|[bfnrt])/gi, (all, one: string) => (one === '\\' ? all : `\\${all}`)) + end;
}

/** Errors with the frames of their stack, so that the text of a message stays in its place. */
function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return { message: String(error) };
  const code: unknown = 'code' in error ? error.code : undefined;
  const frames = [...(error.stack ?? '').matchAll(/^ {4}at (.+)$/gm)].map(([, frame]) => frame);
  return { type: error.name, ...(code !== undefined && { code }), message: error.message, frames };
}
