/** The place where files are stored in S3 or in a service that is compatible with S3. */
export type S3Location = {
  bucket: string;
  /** The prefix of each key; ends in a slash unless it is empty. */
  prefix: string;
  /** Null for the endpoint of AWS. */
  endpoint: string | null;
  /** The endpoint at which clients reach the same service; null if it is equal to `endpoint`. */
  publicEndpoint: string | null;
  /** If null, the AWS SDK gets the region from its environment. */
  region: string | null;
  /** Whether URLs name the bucket in the path instead of in the host name. */
  isPathStyle: boolean;
};

const parameters = new Set(['endpoint', 'public-endpoint', 'region', 'prefix', 'path-style']);

/** Parses `s3://bucket?…`. Throws an Error that says what is wrong and does not quote anything that might be secret. */
export function parseS3Location(text: string): S3Location {
  const url = URL.parse(text);
  if (url?.protocol !== 's3:') throw new Error('it must begin with s3://');
  if (url.username !== '' || url.password !== '') throw new Error('it must not contain credentials');
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(url.host)) throw new Error('the bucket name is invalid');
  if (!['', '/'].includes(url.pathname)) throw new Error('use ?prefix= for a folder in the bucket');
  if (url.hash !== '') throw new Error('it must not contain #');
  const query = url.searchParams;
  for (const name of query.keys()) {
    if (!parameters.has(name)) throw new Error(`the only parameters are ${[...parameters].join(', ')}`);
    if (query.getAll(name).length > 1) throw new Error(`${name} is given more than once`);
  }
  const endpoint = readEndpoint(query, 'endpoint');
  return {
    bucket: url.host,
    prefix: readPrefix(query.get('prefix') ?? ''),
    endpoint,
    publicEndpoint: readEndpoint(query, 'public-endpoint'),
    region: readRegion(query.get('region')),
    isPathStyle: readPathStyle(query.get('path-style')) ?? endpoint !== null,
  };
}

function readEndpoint(query: URLSearchParams, name: string): string | null {
  const text = query.get(name);
  if (text === null) return null;
  const url = URL.parse(text);
  const isPlain = url !== null && [url.username, url.password, url.search, url.hash].every((part) => part === '');
  if (!isPlain || !['http:', 'https:'].includes(url.protocol)) {
    throw new Error(`${name} must be a URL such as https://s3.example.com`);
  }
  return text;
}

function readPrefix(text: string): string {
  const prefix = text.replace(/\/+$/, '');
  if (!/^[A-Za-z0-9_.-]*(\/[A-Za-z0-9_.-]+)*$/.test(prefix) || prefix.startsWith('/') || prefix.length > 200) {
    throw new Error('prefix may have up to 200 characters: letters, digits, _ . - and single slashes between them');
  }
  return prefix === '' ? '' : `${prefix}/`;
}

function readRegion(text: string | null): string | null {
  if (text !== null && !/^[a-z0-9-]{1,63}$/.test(text)) throw new Error('region must be a name such as eu-central-1');
  return text;
}

function readPathStyle(text: string | null): boolean | null {
  if (text !== null && text !== 'true' && text !== 'false') throw new Error('path-style must be true or false');
  return text === null ? null : text === 'true';
}
