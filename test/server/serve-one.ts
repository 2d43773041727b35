import type { ModelOptions, ModelParts } from '../../src/server/serve-model.ts';
import { serve, type RunningServer, type ServeOptions } from '../../src/server/serve.ts';

export type ServeOneOptions = ModelOptions &
  Omit<ServeOptions, 'models' | 'host' | 'port'> &
  Partial<Pick<ServeOptions, 'host' | 'port'>>;

/** A server of one model on a free port of loopback. */
export function serveOne(options: ServeOneOptions, parts: ModelParts): Promise<RunningServer> {
  return serve({ host: '127.0.0.1', port: 0, ...options, models: [options] }, parts);
}
