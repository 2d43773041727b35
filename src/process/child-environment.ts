/** An environment, as `process.env` is one. */
type Environment = Readonly<Record<string, string | undefined>>;

/** What loading libraries and temporary files need. */
const bare = /^(PATH|HOME|TMPDIR|TEMP|TMP|LANG|LD_LIBRARY_PATH|DYLD_.*|SYSTEMROOT)$/i;

/** For a process that works on what strangers wrote: one that is taken over finds no secrets. @param also what it needs besides */
export function bareEnvironment(all: Environment, also?: RegExp): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(all).filter(([name]) => bare.test(name) || also?.test(name)));
}

/** Words in the names of secrets, such as WGRANK_API_KEY, HF_TOKEN and PGPASSWORD. */
const secretName = /KEY|TOKEN|SECRET|PASS|CREDENTIAL|COOKIE|AUTH(?!ORITY)/i;
/** An address with a password in it. */
const secretValue = /^[a-z][\w+.-]*:\/\/[^/?#]*:[^/?#]*@/i;

/** For a process whose drivers read variables that nobody can list: everything but what looks like a secret. */
export function withoutSecrets(all: Environment): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(all).filter(([name, value = '']) => !secretName.test(name) && !secretValue.test(value)),
  );
}
