import { UpstreamError } from '../../errors.ts';
import { isLoopback } from '../../config/loopback.ts';
import { readBounded } from '../../lib/read-bounded.ts';

const timeoutMs = 5000;
const maxBytes = 256 * 1024;

/** A document of an issuer. */
export interface FetchedJson {
  readonly value: unknown;
  /** What `Cache-Control` says of its age, in milliseconds; absent when it does not say. */
  readonly maxAgeMs: number | undefined;
}

/**
 * Fetches a JSON document: over https, or http on loopback; within 5 s, at most 256 KiB, redirects not followed.
 *
 * @throws UpstreamError for anything else than that
 */
export async function fetchJson(url: string): Promise<FetchedJson> {
  try {
    requireSecure(url);
    const response = await fetch(url, {
      headers: { accept: 'application/json, application/jwk-set+json' },
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMs),
    });
    if (response.status !== 200) {
      await response.body?.cancel();
      throw new Error(`status ${response.status}`);
    }
    return {
      value: JSON.parse(await readBounded(response, maxBytes)) as unknown,
      maxAgeMs: toMaxAge(response.headers.get('cache-control')),
    };
  } catch (error) {
    throw new UpstreamError('issuer', 'A document of the issuer cannot be had', { cause: error });
  }
}

function requireSecure(url: string): void {
  const { protocol, hostname } = new URL(url);
  if (protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname))) return;
  throw new Error('neither https nor loopback');
}

function toMaxAge(header: string | null): number | undefined {
  if (header === null) return undefined;
  if (/\bno-(?:store|cache)\b/i.test(header)) return 0;
  const seconds = /\bmax-age=(\d{1,9})\b/i.exec(header)?.[1];
  return seconds === undefined ? undefined : Number(seconds) * 1000;
}
