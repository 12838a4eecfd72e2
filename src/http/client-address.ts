/**
 * Where a request comes from. A header says what its sender likes, so one is read only as far as it was written by
 * proxies that are trusted: from its end, up to the first address that is not one of theirs.
 */
import { toCanonicalAddress } from '../lib/ip-address.ts';
import type { RequestHeaders } from './messages.ts';

/** Whether what this address says of its own client is believed. Takes canonical addresses. */
export type IsTrustedProxy = (address: string) => boolean;

/** What a client's address is found from. */
export interface AddressSource {
  /**
   * The other end of the connection, as the socket spells it; empty when there was one and it is not known. Absent where
   * another runtime has the socket: it then has to be one that trusted proxies alone reach.
   */
  readonly peerAddress: string | undefined;
  readonly headers: RequestHeaders;
}

/** Finds the canonical address of a request's client; nothing when it cannot be known. */
export type ToClientAddress = (source: AddressSource) => string | undefined;

/**
 * @param isTrustedProxy absent: no header is believed
 * @param onUnbelieved told, once, that there was a header though nobody is trusted to write one: as a rule a proxy that was
 *   forgotten
 */
export function createToClientAddress(
  isTrustedProxy: IsTrustedProxy | undefined,
  onUnbelieved: () => void = () => undefined,
): ToClientAddress {
  let isTold = false;
  return ({ peerAddress, headers }) => {
    const peer = peerAddress === undefined ? undefined : toCanonicalAddress(withoutZone(peerAddress));
    if (isTrustedProxy === undefined) {
      if (!isTold && (headers['x-forwarded-for'] ?? headers['forwarded']) !== undefined) {
        isTold = true;
        onUnbelieved();
      }
      return peer;
    }
    const mayTell = peer === undefined ? peerAddress === undefined : isTrustedProxy(peer);
    return mayTell ? (findTold(headers, isTrustedProxy) ?? peer) : peer;
  };
}

/**
 * Nothing when no header tells, or one is malformed where it counts. Nothing, too, when both kinds come and differ: a
 * proxy that writes the one may pass on the other as it came from the client.
 */
function findTold(headers: RequestHeaders, isTrustedProxy: IsTrustedProxy): string | undefined {
  const told = [
    findInChain(headers['x-forwarded-for'], toHopAddress, isTrustedProxy),
    findInChain(headers['forwarded'], toForwardedFor, isTrustedProxy),
  ].filter((address) => address !== undefined);
  const [first] = told;
  return first === 'malformed' || told.some((address) => address !== first) ? undefined : first;
}

/** The first address from the end that is no trusted proxy; where all of them are, the one farthest away. */
function findInChain(
  header: string | readonly string[] | undefined,
  toAddress: (element: string) => string | undefined,
  isTrustedProxy: IsTrustedProxy,
): string | undefined {
  if (header === undefined) return undefined;
  // Also where a comma is quoted: what is left of such an element is malformed, and not what its sender made of it.
  const elements = String(header).split(',');
  let farthest = 'malformed';
  while (elements.length > 0) {
    const address = toAddress(trim(elements.pop() ?? ''));
    if (address === undefined) return 'malformed';
    farthest = address;
    if (!isTrustedProxy(address)) break;
  }
  return farthest;
}

/** Of an element of `X-Forwarded-For`: some proxies add the port, and then put IPv6 into brackets. */
function toHopAddress(element: string): string | undefined {
  return toCanonicalAddress(element) ?? toNodeAddress(element);
}

const pairPattern = /^([!#$%&'*+.^_`|~\w-]+)=(?:([!#$%&'*+.^_`|~\w-]+)|"([^"\\]*)")$/;

/** `for` of an element of `Forwarded`. RFC 7239, section 4: each parameter at most once. */
function toForwardedFor(element: string): string | undefined {
  const parameters = new Map<string, string>();
  for (const text of element.split(';')) {
    const [pair, name = '', token, quoted] = pairPattern.exec(text) ?? [];
    const key = name.toLowerCase();
    if (pair === undefined || parameters.has(key)) return undefined;
    parameters.set(key, token ?? quoted ?? '');
  }
  return toNodeAddress(parameters.get('for') ?? '');
}

const nodePattern = /^(?:\[([^\]]*)\]|([\d.]+))(?::(?:\d{1,5}|_[\w.-]+))?$/;

/** RFC 7239, section 6. `unknown` and obfuscated names are no addresses. */
function toNodeAddress(node: string): string | undefined {
  const [, bracketed, bare] = nodePattern.exec(node) ?? [];
  if (bracketed !== undefined) return bracketed.includes(':') ? toCanonicalAddress(bracketed) : undefined;
  return bare === undefined ? undefined : toCanonicalAddress(bare);
}

function trim(element: string): string {
  return element.replace(/^[ \t]+|[ \t]+$/g, '');
}

/** Link-local addresses name the interface that they came in on. RFC 4007, section 11. */
function withoutZone(address: string): string {
  return address.split('%', 1)[0] ?? '';
}
