import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createToClientAddress } from './client-address.ts';
import type { RequestHeaders } from './messages.ts';
import { createTrustedProxies } from './node-trusted-proxies.ts';

const proxies = ['10.0.0.0/8', 'fd00::/8'];
const proxy = '10.0.0.1';

function find(peerAddress: string | undefined, headers: RequestHeaders = {}, trusted = proxies) {
  return createToClientAddress(createTrustedProxies(trusted))({ peerAddress, headers });
}

const forwardedFor = (value: string): RequestHeaders => ({ 'x-forwarded-for': value });
const forwarded = (value: string): RequestHeaders => ({ forwarded: value });

describe('without a proxy', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['2001:DB8::0:1', '2001:db8::1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['', undefined],
  ])('a client at %j is at %s', (peer, expected) => {
    expect(find(peer)).toBe(expected);
    expect(find(peer, forwardedFor('192.0.2.9'))).toBe(expected);
    expect(find(peer, forwardedFor('192.0.2.9'), [])).toBe(expected);
  });

  it('nothing is known where another runtime has the socket, and no proxy is trusted', () => {
    expect(find(undefined)).toBeUndefined();
    expect(find(undefined, forwardedFor('192.0.2.9'), [])).toBeUndefined();
    expect(find(undefined, forwardedFor('192.0.2.9'))).toBe('192.0.2.9');
    expect(find(undefined, forwardedFor('nonsense'))).toBeUndefined();
  });
});

describe('a header that nobody is trusted to write', () => {
  const countTold = (trusted: readonly string[], sent: readonly RequestHeaders[]): number => {
    let told = 0;
    const toClientAddress = createToClientAddress(createTrustedProxies(trusted), () => (told += 1));
    for (const headers of sent) toClientAddress({ peerAddress: '192.0.2.1', headers });
    return told;
  };

  it('is told of once', () => {
    const sent = [forwardedFor('192.0.2.9'), forwarded('for=192.0.2.9'), forwardedFor('192.0.2.8')];
    expect(countTold([], sent)).toBe(1);
    expect(countTold([], sent.slice(1, 2))).toBe(1);
  });

  it('is not told of where there is none, or somebody is trusted', () => {
    expect(countTold([], [{}, { via: '1.1 proxy' }])).toBe(0);
    expect(countTold(proxies, [forwardedFor('192.0.2.9')])).toBe(0);
  });
});

describe('behind a trusted proxy', () => {
  it.each<[string, RequestHeaders, string]>([
    ['says nothing', {}, proxy],
    ['says one address', forwardedFor('192.0.2.1'), '192.0.2.1'],
    ['adds to what the client made up', forwardedFor('6.6.6.6, 192.0.2.1'), '192.0.2.1'],
    ['adds to nonsense of the client', forwardedFor('"; for=6.6.6.6,, 192.0.2.1'), '192.0.2.1'],
    ['stands behind another one', forwardedFor('6.6.6.6, 192.0.2.1, 10.9.9.9,fd00::9'), '192.0.2.1'],
    ['serves a client in its own range', forwardedFor('10.9.9.9, 10.0.0.2'), '10.9.9.9'],
    ['says the port, too', forwardedFor('192.0.2.1:4711'), '192.0.2.1'],
    ['says IPv6', forwardedFor('2001:DB8::1'), '2001:db8::1'],
    ['says IPv6 and the port', forwardedFor('[2001:db8::1]:4711'), '2001:db8::1'],
    ['says IPv4 as IPv6', forwardedFor('::ffff:192.0.2.1'), '192.0.2.1'],
    ['stands behind one that is said as IPv6', forwardedFor('192.0.2.1, ::ffff:10.0.0.7'), '192.0.2.1'],
    ['says it in a list', { 'x-forwarded-for': ['6.6.6.6', '192.0.2.1'] }, '192.0.2.1'],
    ['forwards', forwarded('for=192.0.2.1'), '192.0.2.1'],
    ['forwards with more', forwarded('by=10.0.0.1;For="192.0.2.1:80";proto=https'), '192.0.2.1'],
    ['forwards IPv6', forwarded('for="[2001:db8::1]:_port"'), '2001:db8::1'],
    ['forwards along a chain', forwarded('for=6.6.6.6, for=192.0.2.1;proto=http,for=10.0.0.2'), '192.0.2.1'],
    [
      'forwards after an open quote of the client',
      forwarded('for=6.6.6.6;by=", for="192.0.2.1"'),
      '192.0.2.1',
    ],
    [
      'says it both ways',
      { ...forwardedFor('6.6.6.6, 192.0.2.1'), ...forwarded('for=192.0.2.1') },
      '192.0.2.1',
    ],
  ])('that %s', (_, headers, expected) => {
    expect(find(proxy, headers)).toBe(expected);
    expect(find(`::ffff:${proxy}`, headers)).toBe(expected);
  });

  it.each<[string, RequestHeaders]>([
    ['nothing', forwardedFor('')],
    ['a name', forwardedFor('localhost')],
    ['an address that is none', forwardedFor('192.0.2.256')],
    ['an empty last element', forwardedFor('192.0.2.1,')],
    ['an empty element between proxies', forwardedFor('192.0.2.1,,10.0.0.2')],
    ['IPv4 in brackets', forwardedFor('[192.0.2.1]')],
    ['a port that is none', forwardedFor('192.0.2.1:http')],
    ['a zone', forwardedFor('fe80::1%eth0')],
    ['an unknown client', forwarded('for=unknown')],
    ['a hidden client', forwarded('for=_hidden')],
    ['no client', forwarded('proto=https')],
    ['two clients', forwarded('for=192.0.2.1;for=192.0.2.2')],
    ['IPv6 without brackets', forwarded('for="2001:db8::1"')],
    ['IPv6 without quotes', forwarded('for=[2001:db8::1]')],
    ['an open quote', forwarded('for="192.0.2.1')],
    ['an escape', forwarded('for="192.0.2\\.1"')],
    ['a comma in quotes', forwarded('for=192.0.2.1;by="a,b"')],
    ['other things in its two headers', { ...forwardedFor('192.0.2.1'), ...forwarded('for=6.6.6.6') }],
    ['nonsense in one of its two headers', { ...forwardedFor('192.0.2.1'), ...forwarded('x') }],
  ])('that tells %s, the proxy is all that is known', (_, headers) => {
    expect(find(proxy, headers)).toBe(proxy);
  });
});

const addresses = fc.oneof(fc.ipV4(), fc.ipV6());
const told = fc.oneof(
  fc.string(),
  addresses,
  fc.array(addresses).map((all) => all.join(', ')),
  fc.array(addresses).map((all) => all.map((each) => `for="[${each}]"`).join(', ')),
  fc.array(addresses).map((all) => all.map((each) => `for=${each}`).join(',')),
);
const headers = fc.dictionary(
  fc.constantFrom('x-forwarded-for', 'forwarded', 'x-real-ip', 'x-client-ip', 'cf-connecting-ip', 'via'),
  fc.oneof(told, fc.array(told)),
);

describe('whatever a client sends', () => {
  it('it cannot choose its own address when its peer is not trusted', () => {
    fc.assert(
      fc.property(addresses, headers, fc.array(addresses), (peer, sent, trusted) => {
        const isTrusted = createTrustedProxies(trusted);
        const own = createToClientAddress(undefined)({ peerAddress: peer, headers: {} });
        fc.pre(own !== undefined && isTrusted?.(own) !== true);
        expect(createToClientAddress(isTrusted)({ peerAddress: peer, headers: sent })).toBe(own);
      }),
    );
  });

  it('it cannot choose it through a trusted proxy either, which adds where the request came from', () => {
    fc.assert(
      fc.property(fc.ipV4(), told, fc.boolean(), headers, (client, sent, isForwarded, others) => {
        const name = isForwarded ? 'forwarded' : 'x-forwarded-for';
        const added = { ...others, [name]: isForwarded ? `${sent}, for=${client}` : `${sent}, ${client}` };
        fc.pre(createTrustedProxies(proxies)?.(client) === false);
        // The proxy's own where the client's other header contradicts.
        expect([client, proxy]).toContain(find(proxy, added));
      }),
    );
  });
});
