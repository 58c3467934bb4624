import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { createLog } from '../../src/logger.ts';

function capture(isTTY: boolean) {
  const output = Object.assign(new PassThrough({ encoding: 'utf8' }), { isTTY });
  return { log: createLog('info', output), read: () => String(output.read() ?? '') };
}

test('each line is JSON with its level and its time', () => {
  const { log, read } = capture(false);
  log.info({ chats: 3 }, 'hello');
  log.debug('not at this level');
  const lines = read().trim().split('\n');
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({
    level: 'info',
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
    chats: 3,
    msg: 'hello',
  });
});

test('a terminal gets readable lines, written before the process can exit', () => {
  const { log, read } = capture(true);
  log.info('GraphiQL is at http://localhost:4000/graphql');
  const line = read();
  expect(line).toContain('GraphiQL is at http://localhost:4000/graphql');
  expect(line.split('\n')).toHaveLength(2);
  expect(line).not.toContain('{');
});

test('secrets and user content are hidden, wherever they appear', () => {
  const { log, read } = capture(false);
  log.info({
    token: 'sesame',
    input: { password: 'sesame', email: 'sesame' },
    request: { headers: { authorization: 'sesame' } },
  });
  const text = read();
  expect(text).toContain('[hidden]');
  expect(text).not.toContain('sesame');
});

test('an error is logged with its stack and its cause, without the row that PostgreSQL quotes', () => {
  const { log, read } = capture(false);
  const cause = Object.assign(new Error('duplicate key'), { code: '23505', detail: 'Key (email)=(ada@example.com)' });
  log.error({ err: new Error('sign-up failed', { cause }) }, 'oops');
  const { err } = JSON.parse(read());
  expect(err).toMatchObject({ message: 'sign-up failed', stack: expect.any(String), cause: { code: '23505' } });
  expect(JSON.stringify(err)).not.toContain('ada@example.com');
});
