import dns from 'node:dns/promises';
import { afterEach, expect, test, vi } from 'vitest';
import { resolveHost } from '../../src/core/host-address.ts';

afterEach(() => vi.restoreAllMocks());

const refuse = (code: string) => Promise.reject(Object.assign(new Error(code), { code }));

/** Mocks the answers of the name servers and of the system resolver. */
function mockNames(answers: {
  v4: () => Promise<string[]>;
  v6: () => Promise<string[]>;
  system: () => Promise<unknown>;
}) {
  vi.spyOn(dns.Resolver.prototype, 'resolve4').mockImplementation(answers.v4);
  vi.spyOn(dns.Resolver.prototype, 'resolve6').mockImplementation(answers.v6);
  return vi.spyOn(dns, 'lookup').mockImplementation(answers.system as never);
}

test('the addresses of a name are those of its A and AAAA records', async () => {
  const system = mockNames({
    v4: async () => ['192.0.2.1', '192.0.2.2'],
    v6: async () => ['2001:db8::1'],
    system: () => refuse('EAI_AGAIN'),
  });
  expect(await resolveHost('both.example')).toEqual([
    { address: '192.0.2.1', family: 4 },
    { address: '192.0.2.2', family: 4 },
    { address: '2001:db8::1', family: 6 },
  ]);
  mockNames({ v4: () => refuse('ENODATA'), v6: async () => ['2001:db8::1'], system: () => refuse('EAI_AGAIN') });
  expect(await resolveHost('six.example')).toEqual([{ address: '2001:db8::1', family: 6 }]);
  expect(system).not.toHaveBeenCalled();
});

test.each(['ETIMEOUT', 'ESERVFAIL'])(
  'a name server that answers with %s holds no thread of the system',
  async (code) => {
    const system = mockNames({ v4: () => refuse(code), v6: () => refuse(code), system: async () => [] });
    await expect(resolveHost('dead.example')).rejects.toThrow(code);
    expect(system).not.toHaveBeenCalled();
  },
);

test('a name that the name servers do not know may be in the hosts file', async () => {
  const local = [{ address: '127.0.0.1', family: 4 }];
  mockNames({ v4: () => refuse('ENOTFOUND'), v6: () => refuse('ENOTFOUND'), system: async () => local });
  expect(await resolveHost('hooks.internal')).toEqual(local);
  expect(await resolveHost('localhost')).toEqual(local);
});

test('the system looks up at most two names at once', async () => {
  const { promise, resolve } = Promise.withResolvers<unknown>();
  const system = mockNames({ v4: () => refuse('ENOTFOUND'), v6: () => refuse('ENOTFOUND'), system: () => promise });
  const found = Promise.all(['a', 'b', 'c'].map((name) => resolveHost(name)));
  await vi.waitFor(() => expect(system).toHaveBeenCalledTimes(2));
  resolve([]);
  expect(await found).toEqual([[], [], []]);
  expect(system).toHaveBeenCalledTimes(3);
});
