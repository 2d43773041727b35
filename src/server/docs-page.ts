import { createRequire } from 'node:module';
import path from 'node:path';
import type { RequestHandler } from 'express';
import { HttpRefusal } from './error-answer.ts';

/** Without scripts of its own: see the policy of `secureHeaders`. */
const page = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>wgrank</title>
    <link rel="stylesheet" href="swagger-ui.css" />
    <link rel="icon" href="favicon-32x32.png" />
  </head>
  <body>
    <div id="swagger-ui"></div>
    <script src="swagger-ui-bundle.js"></script>
    <script src="start.js"></script>
  </body>
</html>
`;

const start = `SwaggerUIBundle({ url: '../openapi.json', dom_id: '#swagger-ui', validatorUrl: null, deepLinking: true });
`;

/** Files of swagger-ui-dist that the page needs; the package has more. */
const distributed: ReadonlySet<string> = new Set(['swagger-ui.css', 'swagger-ui-bundle.js', 'favicon-32x32.png']);

/** `GET /docs` goes to `/docs/`, below which the page finds its files; where it is mounted does not matter. */
export const showDocs: RequestHandler = (request, response) => {
  if (!request.path.endsWith('/')) return response.redirect(308, 'docs/');
  response.type('html').send(page);
};

/** `GET /docs/:file` */
export function sendDocsFile(): RequestHandler {
  const folder = path.dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));
  return (request, response, next) => {
    const file: unknown = request.params.file;
    if (file === 'start.js') return void response.type('js').send(start);
    if (typeof file !== 'string' || !distributed.has(file)) throw new HttpRefusal(404, 'Not Found');
    response.sendFile(path.join(folder, file), { maxAge: '1h' }, (error: unknown) => {
      if (!error) return;
      // They are the file's: a range or precondition that fails is answered as any other refusal.
      const ofFile = response.headersSent ? [] : ['Content-Type', 'Cache-Control', 'Last-Modified'];
      for (const name of ofFile) response.removeHeader(name);
      next(error);
    });
  };
}
