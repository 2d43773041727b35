/** An environment, as `process.env` is one. */
type Environment = Readonly<Record<string, string | undefined>>;

/** What loading libraries and temporary files need. */
const bare = /^(PATH|HOME|TMPDIR|TEMP|TMP|LANG|LD_LIBRARY_PATH|DYLD_.*|SYSTEMROOT)$/i;

/** For a process that works on what strangers wrote: one that is taken over finds no secrets. @param also what it needs besides */
export function bareEnvironment(all: Environment, also?: RegExp): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(all).filter(([name]) => bare.test(name) || also?.test(name)));
}

/** Words in the names of secrets, such as WGRANK_API_KEY, HF_TOKEN, PGPASSWORD, SENTRY_DSN and OTEL_EXPORTER_OTLP_HEADERS. */
const secretName = /KEY|TOKEN|SECRET|PASS|_PWD$|CREDENTIAL|COOKIE|AUTH(?!ORITY)|_HEADERS$|DSN$|CONNECTION_?STRING|JWT/i;
/** An address with a name or password in it. */
const secretValue = /:\/\/[^/?#\s]+@/;

/** For a process whose drivers read variables that nobody can list: everything but what looks like a secret. */
export function withoutSecrets(all: Environment): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(all).filter(([name, value = '']) => !secretName.test(name) && !secretValue.test(value)),
  );
}
