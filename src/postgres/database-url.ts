import { accessSync, constants } from 'node:fs';

/**
 * The TLS modes that a database URL may name: libpq's modes, and the driver's `no-verify`. See
 * https://www.postgresql.org/docs/current/libpq-ssl.html
 */
const sslModes = ['disable', 'require', 'verify-ca', 'verify-full', 'no-verify'];
const writable = ['any', 'read-write', 'primary'];

/**
 * Checks the URL of a database and returns it in the form that the driver needs: `sslmode` has the same meaning as in
 * libpq (`require` encrypts and trusts any certificate; with `sslrootcert`, it trusts only certificates signed by that
 * authority). Throws an Error that says what is not supported and what to write instead; its message never contains the
 * password.
 */
export function parseDatabaseUrl(text: string): string {
  if (!/^postgres(ql)?:\/\//i.test(text)) throw new Error('it does not begin with postgres://');
  // The hosts. Only libpq parses a URL with several hosts.
  const hosts = /^[^/]*\/\/(?:[^/?#]*@)?([^/?#]*)/.exec(text)?.[1] ?? '';
  if (hosts.includes(',')) throw new Error(severalHosts);
  const url = URL.parse(text);
  if (url === null) throw new Error('it is not a URL');
  const parameter = (name: string) => url.searchParams.get(name);
  if (parameter('host')?.includes(',')) throw new Error(severalHosts);
  const target = parameter('target_session_attrs');
  if (target !== null && !writable.includes(target)) {
    throw new Error(`target_session_attrs=${target} asks for a read-only server: leave it out, or use read-write`);
  }
  const schema = parameter('schema');
  if (schema !== null && schema !== 'public') {
    throw new Error('the tables must be in the schema public: leave out schema=, and use a separate database');
  }
  checkFiles(url.searchParams);
  return withSslMode(url, text);
}

const severalHosts =
  'it names several hosts, and only one is supported: use the name or address that leads to the primary (a virtual address, a DNS name or a proxy that follows it)';

function checkFiles(parameters: URLSearchParams): void {
  for (const name of ['sslrootcert', 'sslcert', 'sslkey']) {
    const path = parameters.get(name);
    if (path === null) continue;
    if (path === 'system') {
      throw new Error('sslrootcert=system is not supported: leave it out to trust the authorities that come with Node');
    }
    try {
      accessSync(path, constants.R_OK);
    } catch (error) {
      throw new Error(`${name} names a file that can't be read (${(error as NodeJS.ErrnoException).code})`, {
        cause: error,
      });
    }
  }
}

function withSslMode(url: URL, text: string): string {
  const mode = url.searchParams.get('sslmode');
  if (mode === null) return text;
  if (mode === 'prefer' || mode === 'allow') {
    throw new Error(`sslmode=${mode} falls back to an unencrypted connection: use sslmode=require or sslmode=disable`);
  }
  if (!sslModes.includes(mode)) throw new Error(`sslmode must be one of ${sslModes.join(', ')}`);
  if (mode === 'verify-ca' && !url.searchParams.has('sslrootcert')) {
    throw new Error('sslmode=verify-ca needs sslrootcert=, the file with the certificate of the authority');
  }
  // By default, the driver treats `require` as verify-full; this parameter gives it libpq's meaning.
  if (mode !== 'disable' && mode !== 'no-verify') url.searchParams.set('uselibpqcompat', 'true');
  return url.href;
}
