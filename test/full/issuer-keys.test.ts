import { expect, test } from 'vitest';
import { issuersEnv, TestIssuer } from '../support/issuer.ts';
import { startServer } from '../support/server.ts';

test('a URL that does not answer in time makes tokens wait for 5 s at most', async () => {
  const issuer = await TestIssuer.start();
  const server = await startServer({ env: issuersEnv(issuer) });
  issuer.answer = () => undefined;
  const startedAt = performance.now();
  const token = await issuer.issue({ sub: 'slow' });
  const { errors } = await server.post('{ viewer { user { username } } }', {}, { token });
  const message = expect.stringContaining('cannot be fetched');
  expect(errors).toMatchObject([{ extensions: { code: 'INTERNAL' }, message }]);
  expect(performance.now() - startedAt).toBeLessThan(8_000);
});
