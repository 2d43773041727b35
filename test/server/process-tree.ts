import { readdirSync, readFileSync } from 'node:fs';

export interface ProcessFigures {
  readonly pid: number;
  /** What tells it from its siblings: the script, or `server`. */
  readonly name: string;
  readonly rssBytes: number;
  readonly openFiles: number;
}

/** A process and its descendants, from /proc: Linux only. Those that end meanwhile are left out. */
export function readProcessTree(root: number): ProcessFigures[] {
  const children = new Map<number, number[]>();
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const parent = attempt(() => Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${entry}/status`, 'utf8'))?.[1]));
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), Number(entry)]);
  }
  const found: ProcessFigures[] = [];
  const visit = (pid: number) => {
    const figures = attempt(() => readFigures(pid, pid === root));
    if (figures) found.push(figures);
    children.get(pid)?.forEach(visit);
  };
  visit(root);
  return found;
}

function readFigures(pid: number, isRoot: boolean): ProcessFigures {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const script = readFileSync(`/proc/${pid}/cmdline`, 'utf8')
    .split('\0')
    .find((word) => /[\w-]+-?child[\w-]*\.(ts|js)$/.test(word));
  return {
    pid,
    name: isRoot ? 'server' : (script?.replace(/^.*\//, '') ?? 'other'),
    rssBytes: Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024,
    openFiles: readdirSync(`/proc/${pid}/fd`).length,
  };
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
