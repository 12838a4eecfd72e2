/** IP addresses as text, one spelling for each: nothing is opened and nothing looked up here. */

const octet = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
const ipv4Pattern = new RegExp(`^${octet}(?:\\.${octet}){3}$`);
/** Only what may be in one: whether it is one is for the URL parser to say. */
const ipv6Characters = /^[0-9a-f:.]{2,45}$/i;
const mappedPattern = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/;
const rangePattern = /^([^/]+)(?:\/(0|[1-9]\d{0,2}))?$/;

const ipv4Bits = 32;
const ipv6Bits = 128;
const mappedPrefixBits = ipv6Bits - ipv4Bits;
const ipv6Groups = 8;
/** What one subscriber is given at least, who may then use any address in it. RFC 6177, section 2. */
const networkGroups = 4;

/** Addresses that begin alike. */
export interface AddressRange {
  /** One of them, canonical. */
  readonly address: string;
  readonly prefixBits: number;
  readonly family: 'ipv4' | 'ipv6';
}

/**
 * The canonical text of an address: IPv6 as in RFC 5952, and IPv4 for the IPv6 addresses that stand for one.
 *
 * @returns nothing for what is no address: a name, leading zeros, a zone, brackets, a port
 */
export function toCanonicalAddress(text: string): string | undefined {
  if (ipv4Pattern.test(text)) return text;
  if (!text.includes(':') || !ipv6Characters.test(text)) return undefined;
  const url = `http://[${text}]/`;
  if (!URL.canParse(url)) return undefined;
  const address = new URL(url).hostname.slice(1, -1);
  const [, high, low] = mappedPattern.exec(address) ?? [];
  return high === undefined || low === undefined ? address : toIpv4(high, low);
}

/** Reads an address, or a range as in `10.0.0.0/8`. What follows the prefix does not count. */
export function parseAddressRange(text: string): AddressRange | undefined {
  const [, given = '', bits] = rangePattern.exec(text) ?? [];
  const address = toCanonicalAddress(given);
  if (address === undefined) return undefined;
  const family = address.includes(':') ? 'ipv6' : 'ipv4';
  const most = family === 'ipv6' ? ipv6Bits : ipv4Bits;
  if (bits === undefined) return { address, prefixBits: most, family };
  const isMapped = family === 'ipv4' && given.includes(':');
  const prefixBits = Number(bits) - (isMapped ? mappedPrefixBits : 0);
  return prefixBits < 0 || prefixBits > most ? undefined : { address, prefixBits, family };
}

/**
 * The network that an address is counted with: an IPv4 address is one, of IPv6 the first 64 bits are.
 *
 * @param address canonical
 */
export function toNetwork(address: string): string {
  if (!address.includes(':')) return address;
  // At most one, as it is canonical.
  const [head = '', tail] = address.split('::');
  const toGroups = (text: string): readonly string[] => (text === '' ? [] : text.split(':'));
  const [before, after] = [toGroups(head), toGroups(tail ?? '')];
  const zeros = Array.from({ length: ipv6Groups - before.length - after.length }, () => '0');
  return `${[...before, ...zeros, ...after].slice(0, networkGroups).join(':')}::/64`;
}

function toIpv4(high: string, low: string): string {
  return [high, low]
    .map((group) => Number.parseInt(group, 16))
    .flatMap((group) => [group >> 8, group & 255])
    .join('.');
}
