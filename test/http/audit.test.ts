import { serverAudits } from 'graphql-http';
import { expect, test } from 'vitest';
import { sharedServer } from '../support/shared-server.ts';

const server = await sharedServer();

for (const audit of serverAudits({ url: `${server.url}/graphql`, fetchFn: fetch })) {
  test(`GraphQL over HTTP: ${audit.name}`, async () => {
    const result = await audit.fn();
    expect(result.status === 'ok' ? 'ok' : `${result.status}: ${result.reason}`).toBe('ok');
  });
}
