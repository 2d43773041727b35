import { createLogger, type Logger } from '../../src/server/log.ts';

/** A logger whose messages a test reads. */
export function recordingLogger(hear: (message: string) => unknown): Logger {
  const write = (line: string) => hear((JSON.parse(line) as { msg: string }).msg);
  return createLogger({ level: 'info', format: 'json', destination: { write } });
}
