import { decodeProtectedHeader, type FlattenedJWSInput, type JWK } from 'jose';
import { beforeAll, expect, test } from 'vitest';
import { UpstreamError } from '../../errors.ts';
import type { FetchedJson } from './fetch-json.ts';
import { RemoteKeySet } from './remote-key-set.ts';
import { createIssuerKey, type IssuerKey, signToken } from './test-issuer.contract.ts';

const minute = 60_000;
let first: IssuerKey;
let second: IssuerKey;

beforeAll(async () => {
  [first, second] = await Promise.all([createIssuerKey('k1'), createIssuerKey('k2')]);
});

/** An issuer's documents, counted, on a clock that the test moves. */
class Documents {
  keys: readonly JWK[] = [first.jwk];
  maxAgeMs: number | undefined = 10 * minute;
  isDown = false;
  fetched: string[] = [];
  now = 1_000_000;
  readonly set: RemoteKeySet;

  constructor(jwksUri?: string) {
    this.set = new RemoteKeySet({
      issuer: 'https://id.example',
      ...(jwksUri !== undefined && { jwksUri }),
      now: () => this.now,
      fetchJson: (url) => this.#fetch(url),
    });
  }

  async find(key: IssuerKey): Promise<unknown> {
    const token = await signToken(key);
    const [protectedPart = '', payload = '', signature = ''] = token.split('.');
    const input: FlattenedJWSInput = { protected: protectedPart, payload, signature };
    return this.set.find({ ...decodeProtectedHeader(token), alg: 'ES256' }, input);
  }

  #fetch(url: string): Promise<FetchedJson> {
    this.fetched.push(url);
    if (this.isDown) return Promise.reject(new Error('down'));
    const value = url.endsWith('/openid-configuration')
      ? { issuer: 'https://id.example', jwks_uri: 'https://id.example/keys' }
      : { keys: this.keys };
    return Promise.resolve({ value, maxAgeMs: this.maxAgeMs });
  }
}

const jwksUri = 'https://id.example/jwks';

test('a thousand tokens at once cause one fetch', async () => {
  const documents = new Documents(jwksUri);
  await Promise.all(Array.from({ length: 1000 }, () => documents.find(first)));
  expect(documents.fetched).toEqual([jwksUri]);
});

test('where no location is given, the discovery document tells it', async () => {
  const documents = new Documents();
  await documents.find(first);
  expect(documents.fetched).toEqual([
    'https://id.example/.well-known/openid-configuration',
    'https://id.example/keys',
  ]);
});

test('keys are fetched again in the background at four fifths of their age, without anybody waiting', async () => {
  const documents = new Documents(jwksUri);
  await documents.find(first);
  documents.now += 7.9 * minute;
  await documents.find(first);
  expect(documents.fetched).toHaveLength(1);
  documents.now += 0.2 * minute;
  documents.isDown = true;
  await documents.find(first);
  expect(documents.fetched).toHaveLength(2);
});

test('a rotated key is picked up by the first token that it signed, and a key that is gone is gone at the age', async () => {
  const documents = new Documents(jwksUri);
  await documents.find(first);
  documents.keys = [second.jwk];
  await expect(documents.find(second)).resolves.toBeDefined();
  await expect(documents.find(first)).rejects.toThrow('no applicable key');
});

test('a storm of unknown keys causes one fetch in five seconds', async () => {
  const documents = new Documents(jwksUri);
  await documents.find(first);
  for (let index = 0; index < 50; index += 1) await documents.find(second).catch(() => undefined);
  expect(documents.fetched).toHaveLength(2);
  documents.now += 5001;
  await documents.find(second).catch(() => undefined);
  expect(documents.fetched).toHaveLength(3);
});

test('while the issuer is down its last keys serve for a day, and then tokens are unavailable, not invalid', async () => {
  const documents = new Documents(jwksUri);
  await documents.find(first);
  documents.isDown = true;
  documents.now += 23 * 60 * minute;
  await expect(documents.find(first)).resolves.toBeDefined();
  documents.now += 61 * minute;
  await expect(documents.find(first)).rejects.toThrow(UpstreamError);
});

test('without any keys a token is unavailable, and the issuer is asked ever less often', async () => {
  const documents = new Documents(jwksUri);
  documents.isDown = true;
  for (let second = 0; second < 120; second += 1) {
    await expect(documents.find(first)).rejects.toThrow(UpstreamError);
    documents.now += 1000;
  }
  expect(documents.fetched.length).toBeLessThan(10);
  documents.isDown = false;
  documents.now += minute;
  await expect(documents.find(first)).resolves.toBeDefined();
});

test("an unknown key is not the caller's fault while the issuer is down", async () => {
  const documents = new Documents(jwksUri);
  await documents.find(first);
  documents.isDown = true;
  await expect(documents.find(second)).rejects.toThrow(UpstreamError);
  await expect(documents.find(second)).rejects.toThrow(UpstreamError);
  await expect(documents.find(first)).resolves.toBeDefined();
});

test.each([
  [0, minute],
  [30 * 24 * 3600_000, 3_600_000],
  [undefined, 10 * minute],
])('an age of %s ms is taken as %s ms', async (maxAgeMs, bound) => {
  const documents = new Documents(jwksUri);
  documents.maxAgeMs = maxAgeMs;
  await documents.find(first);
  documents.now += bound * 0.8 - 1;
  await documents.find(first);
  expect(documents.fetched).toHaveLength(1);
  documents.now += 2;
  await documents.find(first);
  expect(documents.fetched).toHaveLength(2);
});
