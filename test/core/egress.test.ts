import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import tls from 'node:tls';
import dns from 'node:dns/promises';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { mayConnectTo, parseRanges } from '../../src/core/address-range.ts';
import { Egress, EgressFailed } from '../../src/core/egress.ts';
import { authority, certificate, otherAuthority } from '../support/certificate.ts';

afterEach(() => vi.restoreAllMocks());

/** Makes the name servers resolve no more names, so that the system resolver is asked. */
function forgetNames(): void {
  const unknown = Object.assign(new Error('unknown'), { code: 'ENOTFOUND' });
  vi.spyOn(dns.Resolver.prototype, 'resolve4').mockRejectedValue(unknown);
  vi.spyOn(dns.Resolver.prototype, 'resolve6').mockRejectedValue(unknown);
}

const limits = { maxMs: 2_000, maxBytes: 1_000 };

async function serve(listener: RequestListener, host = '127.0.0.1'): Promise<URL> {
  const server = createServer(listener).listen(0, host);
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const name = host.includes(':') ? `[${host}]` : host;
  return new URL(`http://${name}:${(server.address() as AddressInfo).port}/path?query`);
}

const local = new Egress(parseRanges('127.0.0.1, ::1'));

test('a request is sent, and its response arrives whole', async () => {
  const url = await serve((request, response) => {
    response.writeHead(418, { 'x-method': String(request.method) });
    response.write(`${request.url} ${String(request.headers['x-sent'])} `);
    request.pipe(response);
  });
  const { status, headers, body } = await local.send(url, {
    ...{ ...limits, method: 'POST', headers: { 'x-sent': 'yes' }, body: 'a body' },
  });
  expect([status, headers['x-method'], body.toString()]).toEqual([418, 'POST', '/path?query yes a body']);
});

test.each(['::1', '127.0.0.1'])('a host with the address %s is refused unless a setting allows it', async (host) => {
  const url = await serve((_, response) => response.end('secret'), host);
  await expect(new Egress([]).send(url, limits)).rejects.toThrow('has no public address');
  await expect(new Egress(parseRanges('10.0.0.0/8')).send(url, limits)).rejects.toThrow('has no public address');
  expect((await local.send(url, limits)).status).toBe(200);
});

test('the socket connects to the address that was checked, even when the name leads elsewhere a moment later', async () => {
  const reached: string[] = [];
  const url = await serve((request, response) => {
    reached.push(String(request.headers.host));
    response.end('hello');
  });
  forgetNames();
  // The name resolves to an allowed address at first, and to a forbidden address after that.
  const lookup = vi
    .spyOn(dns, 'lookup')
    .mockResolvedValueOnce([{ address: '127.0.0.1', family: 4 }] as never)
    .mockResolvedValue([{ address: '127.0.0.2', family: 4 }] as never);
  url.hostname = 'rebinding.example';
  const { body } = await local.send(url, limits);
  expect(body.toString()).toBe('hello');
  expect(lookup).toHaveBeenCalledTimes(1);
  expect(reached).toEqual([`rebinding.example:${url.port}`]);
  await expect(local.send(url, limits)).rejects.toThrow('has no public address');
});

test('an unencrypted request goes to this machine only', async () => {
  const wide = new Egress(parseRanges('10.0.0.0/8'));
  await expect(wide.send(new URL('http://10.1.2.3/'), limits)).rejects.toThrow('http: is only for this machine');
  await expect(local.send(new URL('ftp://127.0.0.1/'), limits)).rejects.toThrow('neither https: nor http:');
});

test.each([301, 302, 303, 307, 308])(
  'a redirect with the status %i is a failure, and is not followed',
  async (status) => {
    let followed = false;
    const target = await serve((_, response) => {
      followed = true;
      response.end();
    });
    const url = await serve((_, response) => response.writeHead(status, { location: target.href }).end());
    await expect(local.send(url, limits)).rejects.toThrow(`a redirect (status ${status})`);
    expect(followed).toBe(false);
  },
);

test('a response that is too large or too slow is a failure', async () => {
  const large = await serve((_, response) => response.end('x'.repeat(1_001)));
  await expect(local.send(large, limits)).rejects.toThrow('larger than 1000 bytes');
  const endless = await serve((_, response) => {
    const timer = setInterval(() => response.write('x'.repeat(100)), 1);
    response.on('close', () => clearInterval(timer));
  });
  await expect(local.send(endless, limits)).rejects.toThrow('larger than 1000 bytes');
  const silent = await serve(() => undefined);
  await expect(local.send(silent, { ...limits, maxMs: 50 })).rejects.toThrow('no response within 50 ms');
  const stuck = await serve((_, response) => void response.write('x'));
  await expect(local.send(stuck, { ...limits, maxMs: 50 })).rejects.toThrow('no response within 50 ms');
  forgetNames();
  const { promise, resolve } = Promise.withResolvers<never>();
  // Otherwise, later tests would treat the lookup as still in progress.
  onTestFinished(() => resolve([] as never));
  vi.spyOn(dns, 'lookup').mockReturnValue(promise);
  const lost = new URL('https://nowhere.example/');
  await expect(local.send(lost, { ...limits, maxMs: 50 })).rejects.toThrow('no response within 50 ms');
});

test('a response that switches to another protocol is a failure', async () => {
  const url = await serve((_, response) => response.writeHead(101, { connection: 'upgrade', upgrade: 'other' }).end());
  await expect(local.send(url, limits)).rejects.toThrow(EgressFailed);
});

test('a host that refuses connections is a failure', async () => {
  await expect(local.send(new URL('http://127.0.0.1:1/'), limits)).rejects.toThrow(EgressFailed);
});

test.each([
  ...['0.0.0.0', '10.0.0.1', '100.64.0.1', '127.0.0.1', '127.8.8.8', '169.254.169.254', '172.16.0.1', '172.31.255.255'],
  ...['192.0.0.1', '192.168.1.1', '198.18.0.1', '203.0.113.1', '224.0.0.1', '240.0.0.1', '255.255.255.255'],
  ...['::', '::1', '::127.0.0.1', '::ffff:127.0.0.1', '::ffff:8.8.8.8', '64:ff9b::7f00:1', '64:ff9b::808:808'],
  ...['64:ff9b:1::a00:1', '100::1', '2001::1', '2001:db8::1', '2002:7f00:1::1', 'fc00::1', 'fd12::1', 'fe80::1'],
  ...['fe80::1%eth0', 'fec0::1', 'ff02::1'],
])('%s is not public', (address) => {
  expect(mayConnectTo(address, [])).toBe(false);
});

test.each(['1.1.1.1', '8.8.8.8', '172.32.0.1', '100.128.0.1', '2606:4700::1111', '2a00:1450:4001::1'])(
  '%s is public',
  (address) => expect(mayConnectTo(address, [])).toBe(true),
);

test.each([
  ['10.0.0.0/8', '10.255.0.1', true],
  ['10.0.0.0/8', '192.168.0.1', false],
  ['192.168.1.7', '192.168.1.7', true],
  ['192.168.1.7', '192.168.1.8', false],
  ['fd00::/8, 10.0.0.0/8', 'fd00::1', true],
  ['10.0.0.0/8', '::ffff:10.0.0.1', false],
])('with EGRESS_ALLOW=%s, %s may be reached: %s', (allowed, address, expected) => {
  expect(mayConnectTo(address, parseRanges(allowed))).toBe(expected);
});

test.each(['', 'localhost', '10.0.0.0/33', '10.0.0', '0x7f.1', '1.2.3.4,', '::1/129', '10.0.0.1/8/8'])(
  'EGRESS_ALLOW=%j is refused',
  (text) => expect(() => parseRanges(text)).toThrow('is neither an IP address nor a range'),
);

describe('over TLS,', () => {
  const trusted = tls.getCACertificates('default');
  afterEach(() => tls.setDefaultCACertificates(trusted));

  /** Starts a server for `chat.example`. The system resolver maps that name, like all names, to this machine. */
  async function serveTls(): Promise<{ url: URL; countReached: () => number }> {
    let count = 0;
    const server = createTlsServer(certificate, ({ headers, socket }, response) => {
      count += 1;
      response.end(`${headers.host} ${String((socket as tls.TLSSocket).servername)}`);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    vi.spyOn(dns, 'lookup').mockResolvedValue([{ address: '127.0.0.1', family: 4 }] as never);
    const url = new URL(`https://chat.example:${(server.address() as AddressInfo).port}/`);
    return { url, countReached: () => count };
  }

  test('the certificate must name the host of the URL, although the socket goes to the address that was checked', async () => {
    const { url, countReached } = await serveTls();
    tls.setDefaultCACertificates([...trusted, authority]);
    const { status, body } = await local.send(url, limits);
    expect([status, body.toString()]).toEqual([200, `${url.host} chat.example`]);
    for (const host of ['other.example', 'sub.chat.example', '127.0.0.1']) {
      url.hostname = host;
      await expect(local.send(url, limits)).rejects.toMatchObject({ cause: { code: 'ERR_TLS_CERT_ALTNAME_INVALID' } });
    }
    expect(countReached()).toBe(1);
  });

  test('a certificate of an authority that is not trusted is refused, also on this machine', async () => {
    const { url, countReached } = await serveTls();
    await expect(local.send(url, limits)).rejects.toThrow(EgressFailed);
    tls.setDefaultCACertificates([...trusted, otherAuthority]);
    await expect(local.send(url, limits)).rejects.toThrow(EgressFailed);
    expect(countReached()).toBe(0);
  });
});
