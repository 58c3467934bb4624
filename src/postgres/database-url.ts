import { accessSync, constants } from 'node:fs';

/** What the URLs of a database may say of TLS, by libpq's names: https://www.postgresql.org/docs/current/libpq-ssl.html */
const sslModes = ['disable', 'require', 'verify-ca', 'verify-full', 'no-verify'];
const writable = ['any', 'read-write', 'primary'];

/**
 * Checks the URL of a database and returns it as the driver is to read it: `sslmode` means what it means to libpq
 * (`require` encrypts and trusts any certificate, with `sslrootcert` only one of that authority). Throws an Error whose
 * message says what is not supported and what to write instead; it never repeats the password.
 */
export function parseDatabaseUrl(text: string): string {
  if (!/^postgres(ql)?:\/\//i.test(text)) throw new Error('it does not begin with postgres://');
  // The part with the hosts: several of them are no URL to anyone but libpq.
  const hosts = /^[^/]*\/\/(?:[^/?#]*@)?([^/?#]*)/.exec(text)?.[1] ?? '';
  if (hosts.includes(',')) throw new Error(severalHosts);
  const url = URL.parse(text);
  if (url === null) throw new Error('it is not a URL');
  const parameter = (name: string) => url.searchParams.get(name);
  if (parameter('host')?.includes(',')) throw new Error(severalHosts);
  const target = parameter('target_session_attrs');
  if (target !== null && !writable.includes(target)) {
    throw new Error(
      `target_session_attrs=${target} asks for a server that only reads: leave it out, or use read-write`,
    );
  }
  const schema = parameter('schema');
  if (schema !== null && schema !== 'public') {
    throw new Error('the tables are kept in the schema public: leave out schema=, and use a database of its own');
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
    throw new Error(
      `sslmode=${mode} goes on without encryption when the server has none: say sslmode=require, or sslmode=disable`,
    );
  }
  if (!sslModes.includes(mode)) throw new Error(`sslmode is one of ${sslModes.join(', ')}`);
  if (mode === 'verify-ca' && !url.searchParams.has('sslrootcert')) {
    throw new Error('sslmode=verify-ca needs sslrootcert=, the file with the certificate of the authority');
  }
  // The driver's own reading of `require` is verify-full; this makes it libpq's.
  if (mode !== 'disable' && mode !== 'no-verify') url.searchParams.set('uselibpqcompat', 'true');
  return url.href;
}
