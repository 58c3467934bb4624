import { expect, test } from 'vitest';
import { acceptsStream, findJsonBeforeStream } from '../../src/http/accept.ts';

test('every stock client’s way to ask for a stream is recognized, anywhere in the list and in any case', () => {
  for (const accept of [
    'text/event-stream',
    'Text/Event-Stream',
    'application/json, text/event-stream',
    'application/graphql-response+json, application/graphql+json, application/json, text/event-stream, multipart/mixed',
    'text/event-stream;q=0.5, */*;q=0.1',
    '  text/event-stream ; charset=utf-8',
    'multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/json',
    'multipart/mixed; boundary="graphql"; subscriptionSpec="1.0"',
  ]) {
    expect(acceptsStream(accept), accept).toBe(true);
  }
});

test('a client that asks for something else gets no stream', () => {
  for (const accept of [
    undefined,
    '',
    '*/*',
    'text/*',
    'application/json',
    'multipart/mixed',
    'multipart/mixed;deferSpec=20220824,application/json',
    'application/json, text/event-stream;q=0',
    'text/event-streams',
    'application/x;text/event-stream',
  ]) {
    expect(acceptsStream(accept), accept).toBe(false);
  }
});

test('a single result is JSON for clients that name it first', () => {
  const urql =
    'application/graphql-response+json, application/graphql+json, application/json, text/event-stream, multipart/mixed';
  expect(findJsonBeforeStream(urql)).toBe('application/graphql-response+json');
  expect(findJsonBeforeStream('Application/JSON;q=0.5,text/event-stream')).toBe('application/json');
  expect(findJsonBeforeStream('application/json;q=0, application/graphql-response+json')).toBe(
    'application/graphql-response+json',
  );
  for (const accept of [undefined, '', '*/*', 'text/event-stream', 'text/event-stream, application/json']) {
    expect(findJsonBeforeStream(accept)).toBeNull();
  }
  expect(findJsonBeforeStream('multipart/mixed;subscriptionSpec=1.0,application/json')).toBeNull();
});
