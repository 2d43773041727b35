/** Names that have led out of folders elsewhere: of files inside a model folder, as checkpoints and caches spell them. */
const ways = [
  '..',
  '../..',
  '../../..',
  '../../../../../../../..',
  './..',
  'sub/..',
  'sub/../..',
  'model/../..',
  '.../..',
];
const targets = ['secret.safetensors', 'outside/secret.safetensors', 'etc/passwd'];
const spellings: ((name: string) => string)[] = [
  (name) => name,
  (name) => name.replaceAll('/', '\\'),
  (name) => name.replaceAll('/', '//'),
  (name) => name.replaceAll('..', '%2e%2e'),
  (name) => name.replaceAll('/', '%2f'),
  (name) => name.replaceAll('..', '\uff0e\uff0e'),
  (name) => name.replaceAll('/', '\u2215'),
  (name) => `${name}\0.safetensors`,
];

const single = `
  .|..|/|//|~|~/secret.safetensors|$HOME/secret.safetensors|\${HOME}.safetensors|file:///etc/passwd|file:secret.safetensors
  |C:\\secret.safetensors|C:secret.safetensors|c:/secret.safetensors|\\\\host\\share\\secret.safetensors|//host/share/secret.safetensors
  |\\\\?\\C:\\secret.safetensors|\\\\.\\PhysicalDrive0|\\\\?\\UNC\\host\\share\\x.safetensors|CON|NUL|COM1.safetensors:|aux:.safetensors
  |/dev/zero|/dev/stdin|/dev/fd/0|/proc/self/environ|/proc/self/mem|/proc/self/root/etc/passwd|/dev/tty|/sys/kernel/x.safetensors
  |x.SAFETENSORS|X.SafeTensors|x.safetensors.|x.safetensors /|x.safetensors::$DATA|x.safetensors;y|x.safetensors?y|x.safetensors#y
  |é.safetensors|e\u0301.safetensors|\u202e.safetensors|\u200b.safetensors|\ufeffx.safetensors|ｘ.safetensors|x．safetensors
  |\ud800.safetensors|x\n.safetensors|\nx.safetensors|x.safetensors\n|\rx.safetensors|x\u0000.safetensors|\u0000|x\u007f.safetensors
  |a b.safetensors| x.safetensors|x.safetensors |*.safetensors|?.safetensors|[a].safetensors|{a,b}.safetensors|\`id\`.safetensors
  |$(id).safetensors|;id.safetensors|'.safetensors|".safetensors|<.safetensors|a&b.safetensors|a:b.safetensors|x.bin|x.pt|x.pkl|x.gguf
  |config.json|tokenizer.json|model.safetensors.index.json|.git/config|.ssh/id_rsa|sub/x.safetensors|./x.safetensors|x.safetensors/
  |x/../x.safetensors|..;/x.safetensors|..%00/x.safetensors|%c0%ae%c0%ae/x.safetensors|..%c0%afx.safetensors|....//x.safetensors
`;

/** @param outside an absolute path of a file that must not be read */
export function hostileNames(outside: string): string[] {
  const climbing = ways.flatMap((way) =>
    targets.flatMap((target) => spellings.map((spell) => spell(`${way}/${target}`))),
  );
  const named = single
    .replaceAll(/\n {2}/g, '')
    .replace(/\n$/, '')
    .split('|');
  const absolute = spellings.map((spell) => spell(outside));
  return [...new Set([...absolute, ...named, ...climbing, 'x'.repeat(300), `${'../'.repeat(1000)}etc/passwd`])];
}
