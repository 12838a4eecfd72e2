import { BlockList, isIP, SocketAddress } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseAddressRange, toCanonicalAddress, toNetwork } from './ip-address.ts';

describe('an address', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['::', '::'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:c000:0201', '192.0.2.1'],
    ['0:0:0:0:0:ffff:0:0', '0.0.0.0'],
  ])('%s is spelled %s', (text, expected) => {
    expect(toCanonicalAddress(text)).toBe(expected);
  });

  it.each([
    '',
    'localhost',
    '1.2.3',
    '1.2.3.256',
    '01.2.3.4',
    '0x7f.0.0.1',
    '2130706433',
    '1.2.3.4 ',
    '1.2.3.4:80',
    '[::1]',
    'fe80::1%eth0',
    ':::',
    '1::2::3',
    '::1]@[::2',
  ])('%j is none', (text) => {
    expect(toCanonicalAddress(text)).toBeUndefined();
  });

  it('is one exactly where Node says so, and spelled once', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6(), fc.ipV4Extended(), fc.string()), (text) => {
        const address = toCanonicalAddress(text);
        expect(address !== undefined).toBe(isIP(text) !== 0);
        if (address !== undefined) expect(toCanonicalAddress(address)).toBe(address);
      }),
    );
  });
});

describe('a range', () => {
  it.each([
    ['10.0.0.0/8', { address: '10.0.0.0', prefixBits: 8, family: 'ipv4' }],
    ['192.0.2.7', { address: '192.0.2.7', prefixBits: 32, family: 'ipv4' }],
    ['FD00::/8', { address: 'fd00::', prefixBits: 8, family: 'ipv6' }],
    ['::1', { address: '::1', prefixBits: 128, family: 'ipv6' }],
    ['::ffff:10.0.0.0/104', { address: '10.0.0.0', prefixBits: 8, family: 'ipv4' }],
  ])('is read: %s', (text, expected) => {
    expect(parseAddressRange(text)).toEqual(expected);
  });

  it.each([
    '',
    '/8',
    '10.0.0.0/',
    '10.0.0.0/33',
    '10.0.0.0/08',
    '10.0.0.0/-1',
    '10.0.0.0/8/8',
    '::/129',
    '::ffff:10.0.0.0/95',
    'proxy/8',
  ])('is refused: %s', (text) => {
    expect(parseAddressRange(text)).toBeUndefined();
  });
});

describe('the network that an address is counted with', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['::1', '0:0:0:0::/64'],
    ['1:2::5:6:7:8:9', '1:2:0:5::/64'],
    ['1::', '1:0:0:0::/64'],
  ])('of %s is %s', (address, expected) => {
    expect(toNetwork(address)).toBe(expected);
  });

  it('is one for two IPv6 addresses exactly when their first 64 bits are', () => {
    fc.assert(
      fc.property(fc.ipV6(), fc.ipV6(), fc.boolean(), (one, other, isNear) => {
        const first = toCanonicalAddress(one) ?? '';
        const second = toCanonicalAddress(isNear ? toNeighbour(first) : other) ?? '';
        fc.pre(first.includes(':') && second.includes(':'));
        const network = new BlockList();
        network.addSubnet(new SocketAddress({ address: first, family: 'ipv6' }), 64);
        expect(toNetwork(first) === toNetwork(second)).toBe(network.check(second, 'ipv6'));
      }),
    );
  });
});

/** The same first half, another second one. */
function toNeighbour(address: string): string {
  if (!address.includes(':')) return address;
  return toNetwork(address).replace('::/64', ':1:2:3:4');
}
