/**
 * A way out that leads to public addresses only. Clients name the URLs that the authorization server fetches; without
 * this, anybody could have it look into the network that it stands in.
 *
 * Not here: a name that gives another address when it is asked again. The engine looks at the address of each
 * connection, and ends one to an address that is not public before anything is sent.
 */
import { lookup } from 'node:dns/promises';
import { BlockList, isIP, isIPv4 } from 'node:net';

type Fetch = typeof globalThis.fetch;

/** Every address of a name. */
export type Lookup = (hostname: string) => Promise<readonly string[]>;

/** RFC 6890, and multicast. */
const specialRanges: readonly (readonly [string, number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
];
/** Within global unicast: protocol assignments with Teredo, documentation, and 6to4, which wraps any IPv4 address. */
const specialRanges6: readonly (readonly [string, number])[] = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
];

const special = new BlockList();
for (const [prefix, bits] of specialRanges) special.addSubnet(prefix, bits, 'ipv4');
for (const [prefix, bits] of specialRanges6) special.addSubnet(prefix, bits, 'ipv6');
const globalUnicast = new BlockList();
globalUnicast.addSubnet('2000::', 3, 'ipv6');

/** Whether an address is anybody's to reach. What is not known to be public is not. */
export function isPublicAddress(address: string): boolean {
  if (isIPv4(address)) return !special.check(address, 'ipv4');
  return isIP(address) === 6 && globalUnicast.check(address, 'ipv6') && !special.check(address, 'ipv6');
}

/**
 * A `fetch` that takes `https` URLs whose every address is public, and follows no redirect. Anything else is a TypeError,
 * and nothing is sent.
 */
export function createPublicFetch(fetch: Fetch, resolve: Lookup = lookupAll): Fetch {
  return async (input, init) => {
    const { protocol, hostname } = new URL(input instanceof Request ? input.url : input);
    if (protocol !== 'https:') throw new TypeError('only https URLs are fetched');
    const name = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
    const addresses = isIP(name) === 0 ? await endWith(init?.signal, resolve(name)) : [name];
    if (addresses.length === 0 || !addresses.every(isPublicAddress))
      throw new TypeError('the host has an address that is not public');
    return fetch(input, { ...init, redirect: 'manual' });
  };
}

async function lookupAll(hostname: string): Promise<readonly string[]> {
  return (await lookup(hostname, { all: true })).map(({ address }) => address);
}

/** A look-up cannot be ended; it can be left behind. */
function endWith<Value>(signal: AbortSignal | null | undefined, waiting: Promise<Value>): Promise<Value> {
  if (signal === null || signal === undefined) return waiting;
  const ended = new Promise<never>((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(new TypeError('the host was not found in time')), {
      once: true,
    });
  });
  return Promise.race([waiting, ended]);
}
