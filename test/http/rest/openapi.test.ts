import { createConfig, lintDocument, makeDocumentFromString, BaseResolver } from '@redocly/openapi-core';
import { beforeAll, expect, test } from 'vitest';
import { routes } from '../../../src/http/rest/table.ts';
import type { Data } from '../../support/client.ts';
import { call } from '../../support/rest.ts';
import type { TestServer } from '../../support/server.ts';
import { sharedServer } from '../../support/shared-server.ts';

let server: TestServer;
let description: Data;
beforeAll(async () => {
  server = await sharedServer();
  description = (await call(server, 'GET /api/openapi.json')).body;
});

test('the description is valid OpenAPI 3.1, without ambiguous paths or broken references', async () => {
  expect(description.openapi).toMatch(/^3\.1\./);
  const config = await createConfig({
    extends: ['spec'],
    rules: {
      'no-ambiguous-paths': 'error',
      'no-identical-paths': 'error',
      'operation-operationId-unique': 'error',
      'operation-operationId-url-safe': 'error',
      'operation-2xx-response': 'error',
      'operation-4xx-response': 'error',
      'operation-summary': 'error',
      'path-parameters-defined': 'error',
      'security-defined': 'error',
      'no-unresolved-refs': 'error',
      'no-unused-components': 'error',
      'no-invalid-schema-examples': 'error',
      'no-required-schema-properties-undefined': 'error',
    },
  });
  const document = makeDocumentFromString(JSON.stringify(description), 'openapi.json');
  const problems = await lintDocument({ document, externalRefResolver: new BaseResolver(), config });
  expect(problems.map(({ ruleId, message, location }) => `${ruleId}: ${message} ${location[0]?.pointer}`)).toEqual([]);
});

test('every row of the table is described, and its answers match the description', async () => {
  for (const { method, path, id } of routes) {
    expect(description.paths[path]?.[method.toLowerCase()]).toMatchObject({ operationId: id });
  }
  const { paths, components } = description;
  const send = paths['/api/chats/{chatId}/messages'].post;
  expect(send.requestBody.content['application/json'].schema).toMatchObject({
    properties: { content: { type: 'string', default: '' }, replyToId: { type: ['string', 'null'] } },
    additionalProperties: false,
  });
  expect(Object.keys(send.responses)).toEqual(['201', '400', '401', '403', '404', '409', '429', 'default']);
  expect(send.responses[201].content['application/json'].schema).toEqual({ $ref: '#/components/schemas/Message' });
  expect(components.schemas.Message.properties).toMatchObject({
    content: { type: ['string', 'null'] },
    sender: { anyOf: [{ $ref: '#/components/schemas/Author' }, { type: 'null' }] },
    createdAt: { type: 'string', format: 'date-time' },
  });
  expect(components.schemas.ChatType.enum).toContain('PUBLIC_CHANNEL');
  expect(paths['/api/signin'].post.security).toEqual([]);
  expect(Object.keys(paths['/api/signup'].post.responses)).toEqual([
    '201',
    '202',
    '400',
    '403',
    '409',
    '429',
    'default',
  ]);
  expect(components.schemas.Event.oneOf).toContainEqual({ $ref: '#/components/schemas/NewMessage' });
});

test('the page shows it, and loads everything from this server', async () => {
  const response = await fetch(`${server.url}/api/docs`);
  expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8');
  const policy = response.headers.get('content-security-policy') ?? '';
  expect(policy).toContain("default-src 'none'");
  expect(policy).not.toMatch(/https?:|\*|unsafe-eval/);
  const page = await response.text();
  const loaded = [...page.matchAll(/(?:src|href)="(\/[^"]*)"/g)].map(([, path]) => path);
  expect(loaded).toHaveLength(3);
  for (const path of loaded) expect((await fetch(server.url + path)).status).toBe(200);
});

test('a client that has the description does not receive it again', async () => {
  const { headers } = await call(server, 'GET /api/openapi.json');
  const etag = headers.get('etag') ?? '';
  expect((await call(server, 'GET /api/openapi.json', { headers: { 'if-none-match': etag } })).status).toBe(304);
  expect((await call(server, 'POST /api/openapi.json')).status).toBe(405);
});
