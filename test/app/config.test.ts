import { expect, test } from 'vitest';
import { readConfig } from '../../src/config.ts';
import { readQuotas } from '../../src/core/limit.ts';
import { generateKeySet } from '../../src/account/token-key.ts';

test('no setting is required', () => {
  const quotas = readQuotas(readConfig({}));
  expect(readConfig({})).toEqual({
    port: 4000,
    host: '127.0.0.1',
    databaseUrl: null,
    databaseDirectUrl: null,
    databasePoolSize: 10,
    dataDir: '.data',
    jwtKeys: null,
    logLevel: 'info',
    serve: ['api', 'streams'],
    corsOrigin: '*',
    trustedProxies: 0,
    eventRetentionMs: 7 * 24 * 60 * 60 * 1000,
    auditRetentionMs: 365 * 24 * 60 * 60 * 1000,
    maxStreamsPerSession: 20,
    maxStreamsPerAddress: 1000,
    maxOperationsPerStream: 100,
    maxStreamBufferBytes: 1024 * 1024,
    maxReplayEvents: 0,
    maxReplayBytes: 0,
    fileStore: null,
    fileServing: 'stream',
    fileInlineBytes: 16_384,
    maxUploadBytes: 100 * 1024 * 1024,
    userQuotaBytes: 10 * 1024 ** 3,
    trustedDocuments: null,
    trustedDocumentsOnly: false,
    rateLimits: 'on',
    ...quotas,
  });
  expect(quotas).toMatchObject({
    guesses: { count: 10, windowSeconds: 900 },
    takenNames: { count: 5, windowSeconds: 900 },
    sends: { count: 1_000, windowSeconds: 10 },
  });
});

test('each setting is parsed into its value', () => {
  const config = readConfig({
    PORT: '0',
    DATABASE_URL: 'postgres://ada@db/parley',
    DATABASE_DIRECT_URL: 'postgresql://ada@primary/parley',
    JWT_KEYS: generateKeySet(),
    EVENT_RETENTION: '90m',
    SERVE: 'streams',
    CORS_ORIGIN: 'https://a.example.com, http://localhost:5173',
    TRUST_PROXY: '2',
    FILE_STORE: 's3://chat-files?endpoint=http://minio:9000&region=us-east-1&prefix=parley/files/',
    FILE_SERVING: 'redirect',
  });
  expect(config).toMatchObject({
    port: 0,
    databaseUrl: 'postgres://ada@db/parley',
    databaseDirectUrl: 'postgresql://ada@primary/parley',
    eventRetentionMs: 90 * 60 * 1000,
    serve: ['streams'],
    corsOrigin: 'https://a.example.com, http://localhost:5173',
    trustedProxies: 2,
    fileStore: {
      bucket: 'chat-files',
      prefix: 'parley/files/',
      endpoint: 'http://minio:9000',
      publicEndpoint: null,
      region: 'us-east-1',
      isPathStyle: true,
    },
    fileServing: 'redirect',
  });
  expect(readConfig({ FILE_STORE: 's3://chat-files' }).fileStore).toMatchObject({ prefix: '', isPathStyle: false });
  expect(config.jwtKeys?.verifying.size).toBe(1);
});

test('an empty value counts as unset', () => {
  expect(readConfig({ PORT: '', DATABASE_URL: '', JWT_KEYS: '' })).toEqual(readConfig({}));
});

test.each([
  ['PORT', '65536'],
  ['PORT', '-1'],
  ['PORT', '4000.5'],
  ['PORT', '1e3'],
  ['DATABASE_POOL_SIZE', '0'],
  ['LOG_LEVEL', 'verbose'],
  ['EVENT_RETENTION', '0d'],
  ['EVENT_RETENTION', '7 days'],
  ['SERVE', 'api,web'],
  ['CORS_ORIGIN', 'example.com'],
  ['CORS_ORIGIN', 'https://example.com/'],
  ['CORS_ORIGIN', 'https://example.com,*'],
])('%s does not accept "%s", and says what it expects', (name, value) => {
  expect(() => readConfig({ [name]: value })).toThrow(`\n  ${name}: `);
  expect(() => readConfig({ [name]: value })).toThrow(`(got "${value}")`);
});

test('all problems are reported together, and no secret is revealed', () => {
  const read = () =>
    readConfig({
      PORT: 'x',
      DATABASE_URL: 'mysql://ada:lovelace@db/x',
      JWT_KEYS: '{"keys":[{"d":"sesame"}]}',
      SERVE: 'x',
    });
  for (const name of ['PORT', 'DATABASE_URL', 'JWT_KEYS', 'SERVE']) expect(read).toThrow(`  ${name}: `);
  expect(read).not.toThrow(/lovelace|sesame/);
});

test.each([
  ['/var/files', 'it must begin with s3://'],
  ['https://bucket', 'it must begin with s3://'],
  ['s3://', 'the bucket name is invalid'],
  ['s3://b', 'the bucket name is invalid'],
  ['s3://My_Bucket', 'the bucket name is invalid'],
  ['s3://bucket:9000', 'the bucket name is invalid'],
  ['s3://AKIA:sesame@bucket', 'it must not contain credentials'],
  ['s3://bucket/sesame', 'use ?prefix= for a folder in the bucket'],
  ['s3://bucket?secret=sesame', 'the only parameters are endpoint, public-endpoint, region, prefix, path-style'],
  ['s3://bucket?region=a&region=sesame', 'region is given more than once'],
  ['s3://bucket?region=sesame!', 'region must be a name such as eu-central-1'],
  ['s3://bucket?endpoint=sesame:9000', 'endpoint must be a URL such as https://s3.example.com'],
  ['s3://bucket?endpoint=https://ada:sesame@s3', 'endpoint must be a URL such as https://s3.example.com'],
  ['s3://bucket?public-endpoint=ftp://sesame', 'public-endpoint must be a URL such as https://s3.example.com'],
  [
    's3://bucket?prefix=/sesame',
    'prefix may have up to 200 characters: letters, digits, _ . - and single slashes between them',
  ],
  [
    's3://bucket?prefix=a//sesame',
    'prefix may have up to 200 characters: letters, digits, _ . - and single slashes between them',
  ],
  ['s3://bucket?path-style=sesame', 'path-style must be true or false'],
])('FILE_STORE does not accept "%s", says why, and does not repeat it', (value, reason) => {
  const read = () => readConfig({ FILE_STORE: value });
  expect(read).toThrow(`\n  FILE_STORE: s3://bucket, with ?endpoint=`);
  expect(read).toThrow(reason);
  expect(read).not.toThrow(/sesame/);
});

test('FILE_SERVING=redirect requires a FILE_STORE', () => {
  expect(() => readConfig({ FILE_SERVING: 'redirect' })).toThrow('FILE_SERVING: "redirect" requires FILE_STORE');
  expect(() => readConfig({ FILE_SERVING: 'elsewhere' })).toThrow('(got "elsewhere")');
});

test('a direct URL requires a DATABASE_URL', () => {
  expect(() => readConfig({ DATABASE_DIRECT_URL: 'postgres://db/parley' })).toThrow('DATABASE_DIRECT_URL: ');
});
