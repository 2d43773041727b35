import express, { type Express } from 'express';
import { guardAccess, type AccessOptions } from './access.ts';
import { answerErrors, refuseMethod, refuseUnknownRoute } from './error-answer.ts';
import type { ServerMetrics } from './metrics.ts';

/** `/metrics` on a port of its own, so that the other one can be shown to more people. The same keys and names hold here. */
export function createMetricsApp(metrics: ServerMetrics, access: AccessOptions, log: (line: string) => void): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', false);
  app.use(guardAccess(access));
  app.route('/metrics').get(metrics.show()).all(refuseMethod('GET', 'HEAD'));
  app.use(refuseUnknownRoute);
  app.use(answerErrors(log));
  return app;
}
