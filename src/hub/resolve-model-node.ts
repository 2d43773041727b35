import { readFile, readdir, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WgrankError } from '../errors.ts';

/** Where a model was found. */
export interface ResolvedModel {
  /** Folder with config.json, tokenizer.json and *.safetensors. */
  readonly dir: string;
  readonly source: 'folder' | 'embedded' | 'cache';
}

export interface ResolveOptions {
  /** Folder of the embedded models; default: `weights/` of the package. */
  readonly embeddedRoot?: string;
  /** Environment that places the hub cache; default: the process's own. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** `weights/` beside `src/` or `dist/`. */
const packagedModels = fileURLToPath(new URL('../../weights', import.meta.url));

/** One part of a repository id, as the hub allows it. */
const idPart = /^[A-Za-z0-9_][\w.-]{0,95}$/;
const commit = /^[0-9a-f]{40}$/;

/** A hub id in its parts. */
interface HubId {
  /** `org/name`, or `name` alone for the hub's oldest repositories. */
  readonly repository: string;
  /** Branch, tag, `refs/pr/…` or commit. */
  readonly revision: string;
}

/**
 * Finds a model without a network: an existing folder, else the name of an embedded model, else a hub id `org/name[@revision]`
 * in the local Hugging Face cache.
 * @throws WgrankError `model-not-found` with the forms that work and what is available
 */
export async function resolveModel(pathOrId: string, options: ResolveOptions = {}): Promise<ResolvedModel> {
  const env = options.env ?? process.env;
  const embeddedRoot = options.embeddedRoot ?? packagedModels;
  const tried: string[] = [];
  if (pathOrId === '' || pathOrId.includes('\0')) {
    throw await notFound(pathOrId, ['the model path is empty or holds a NUL'], embeddedRoot);
  }

  const kind = await kindOf(pathOrId);
  if (kind === 'folder') return { dir: pathOrId, source: 'folder' };
  tried.push(kind === 'other' ? 'it is a file, and a model is a folder' : 'no such folder');

  const embedded = await listEmbedded(embeddedRoot);
  if (embedded.includes(pathOrId)) return { dir: join(embeddedRoot, pathOrId), source: 'embedded' };

  const id = parseHubId(pathOrId);
  if (id !== undefined) {
    const found = await findInCache(hubCacheFolder(env), id);
    if ('dir' in found) return { dir: found.dir, source: 'cache' };
    tried.push(found.reason);
  }
  throw await notFound(pathOrId, tried, embeddedRoot, id);
}

/** The cache folder, by the rules of huggingface_hub: HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, HF_HOME/hub, XDG_CACHE_HOME, ~/.cache. */
export function hubCacheFolder(env: Readonly<Record<string, string | undefined>>): string {
  const home = env['HOME'] || homedir();
  const expand = (path: string) => (path === '~' || path.startsWith('~/') ? join(home, path.slice(1)) : path);
  const direct = env['HF_HUB_CACHE'] || env['HUGGINGFACE_HUB_CACHE'];
  if (direct) return expand(direct);
  const cache = env['XDG_CACHE_HOME'] || join(home, '.cache');
  return join(expand(env['HF_HOME'] || join(cache, 'huggingface')), 'hub');
}

/** @returns undefined for anything that is no hub id: absolute paths, `..`, white space, too many slashes */
function parseHubId(text: string): HubId | undefined {
  const at = text.indexOf('@');
  const repository = at < 0 ? text : text.slice(0, at);
  const revision = at < 0 ? 'main' : text.slice(at + 1);
  const parts = repository.split('/');
  if (parts.length > 2 || !parts.every((part) => idPart.test(part))) return undefined;
  // The hub forbids both in names; the second separates the parts of a cache folder's name.
  if (repository.includes('..') || repository.includes('--')) return undefined;
  const steps = revision.split('/');
  if (!steps.every((step) => /^[\w.-]+$/.test(step) && step !== '.' && step !== '..')) return undefined;
  return { repository, revision };
}

async function findInCache(cache: string, id: HubId): Promise<{ dir: string } | { reason: string }> {
  const folder = join(cache, `models--${id.repository.replace('/', '--')}`);
  if ((await kindOf(folder)) !== 'folder') return { reason: `not in the hub cache ${cache}` };
  let sha = id.revision;
  if (!commit.test(sha)) {
    const ref = join(folder, 'refs', ...id.revision.split('/'));
    const content = await readFile(ref, 'utf8').catch(() => undefined);
    sha = content?.trim() ?? '';
    if (!commit.test(sha)) return { reason: await describeRevisions(folder, id.revision) };
  }
  const dir = join(folder, 'snapshots', sha);
  if ((await kindOf(dir)) !== 'folder')
    return { reason: `the hub cache ${cache} has no snapshot of revision ${id.revision}` };
  // `hf download` of single files leaves such snapshots behind.
  if ((await kindOf(join(dir, 'config.json'))) === 'missing') {
    return { reason: `its snapshot in the hub cache is incomplete: ${dir} has no config.json` };
  }
  return { dir };
}

async function describeRevisions(folder: string, revision: string): Promise<string> {
  const snapshots = (await readdir(join(folder, 'snapshots')).catch(() => [])).filter((name) => commit.test(name));
  const known =
    snapshots.length === 0
      ? 'no revision'
      : `${snapshots
          .slice(0, 5)
          .map((sha) => `@${sha}`)
          .join(', ')}`;
  return `the hub cache has no revision ${revision} of it in ${folder} (it has ${known})`;
}

async function listEmbedded(root: string): Promise<string[]> {
  const entries = await readdir(root, { withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .toSorted();
}

async function kindOf(path: string): Promise<'folder' | 'other' | 'missing'> {
  const stats = await stat(path).catch(() => undefined);
  if (stats === undefined) return 'missing';
  return stats.isDirectory() ? 'folder' : 'other';
}

async function notFound(asked: string, tried: readonly string[], root: string, id?: HubId): Promise<WgrankError> {
  const shown = JSON.stringify(asked.length > 300 ? `${asked.slice(0, 300)}…` : asked);
  const embedded = await listEmbedded(root);
  const repository = id?.repository.includes('/') ? id.repository : 'org/name';
  const revision = id === undefined || id.revision === 'main' ? '' : ` --revision ${id.revision}`;
  const lines = [
    `no model ${shown}: ${tried.join('; ')}. What works:`,
    '  a folder:          --model-path /path/to/folder   (with config.json, tokenizer.json, model.safetensors)',
    `  a hub model:       hf download ${repository}${revision}   (then pass the id again: it is found in the local cache)`,
    `  an embedded model: ${embedded.length > 0 ? embedded.join(', ') : `none in ${root}`}`,
  ];
  return new WgrankError('model-not-found', 'model path', lines.join('\n'));
}
