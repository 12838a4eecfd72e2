import { UpstreamError } from '../../errors.ts';
import { isLoopback } from '../../config/loopback.ts';

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
      value: JSON.parse(await readText(response)) as unknown,
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

async function readText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  // The types of the web know no iteration of a body; Node.js has it.
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) throw new Error(`larger than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function toMaxAge(header: string | null): number | undefined {
  if (header === null) return undefined;
  if (/\bno-(?:store|cache)\b/i.test(header)) return 0;
  const seconds = /\bmax-age=(\d{1,9})\b/i.exec(header)?.[1];
  return seconds === undefined ? undefined : Number(seconds) * 1000;
}
