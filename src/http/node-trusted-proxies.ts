import { BlockList } from 'node:net';
import { parseAddressRange } from '../lib/ip-address.ts';
import type { IsTrustedProxy } from './client-address.ts';

/**
 * @param ranges as configured: addresses, and ranges as in `10.0.0.0/8`
 * @returns nothing when there are none, so that nothing has to be asked
 * @throws TypeError for what is no range
 */
export function createTrustedProxies(ranges: readonly string[]): IsTrustedProxy | undefined {
  if (ranges.length === 0) return undefined;
  const trusted = new BlockList();
  for (const text of ranges) {
    const range = parseAddressRange(text);
    if (range === undefined) throw new TypeError(`${text} is neither an address nor a range of them`);
    trusted.addSubnet(range.address, range.prefixBits, range.family);
  }
  return (address) => trusted.check(address, address.includes(':') ? 'ipv6' : 'ipv4');
}
