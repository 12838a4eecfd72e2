import { createHash, randomUUID } from 'node:crypto';
import { calculateJwkThumbprint, createLocalJWKSet, type JWTPayload, SignJWT } from 'jose';
import { beforeAll, describe, expect, test } from 'vitest';
import { RequestError, UpstreamError } from '../errors.ts';
import type { Presentation } from './authenticator.ts';
import { CredentialAuthenticator } from './credential-authenticator.ts';
import { createProofCheck } from './dpop/dpop-proof.ts';
import { MemoryReplayGuard } from './dpop/memory-replay-guard.ts';
import {
  createIssuerKey,
  type IssuerKey,
  signToken,
  toTrustedIssuer,
} from './issuers/test-issuer.contract.ts';
import { createTokenVerifier } from './issuers/token-verifier.ts';
import type { ValidatedToken, ValidatedTokens } from './issuers/validated-tokens.ts';
import type { Principal } from './principal.ts';
import { MemoryRevocationStore } from './revocation/memory-revocation-store.ts';
import { SharedRevocations } from './revocation/shared-revocations.ts';
import { TokenAuthenticator, type TokenAuthenticatorOptions } from './token-authenticator.ts';

let key: IssuerKey;
let clientKey: IssuerKey;
let jkt: string;

beforeAll(async () => {
  [key, clientKey] = await Promise.all([createIssuerKey('k1'), createIssuerKey('c1')]);
  jkt = await calculateJwkThumbprint(clientKey.jwk);
});

/** An authenticator on a clock that the test moves, with its validations counted. */
function createScene(given: Partial<TokenAuthenticatorOptions> & { readonly record?: object } = {}) {
  const { record, ...options } = given;
  const scene = { now: Date.now(), validations: 0, isIssuerDown: false };
  const now = (): number => scene.now;
  const keys = createLocalJWKSet({ keys: [key.jwk] });
  const revocations = new SharedRevocations({ store: new MemoryRevocationStore(), now });
  const authenticator = new TokenAuthenticator({
    verifier: createTokenVerifier(
      [
        {
          issuer: toTrustedIssuer(record),
          keys: {
            find: (header, input) => {
              scene.validations += 1;
              if (scene.isIssuerDown) return Promise.reject(new UpstreamError('issuer', 'down'));
              return keys(header, input);
            },
          },
        },
      ],
      now,
    ),
    revocations,
    checkProof: createProofCheck(new MemoryReplayGuard({ now }), now),
    now,
    ...options,
  });
  const authenticate = async (token: string, presentation?: Presentation): Promise<Principal> =>
    authenticator.authenticate(token, presentation);
  return { scene, revocations, authenticator, authenticate };
}

async function codeOf(outcome: Promise<unknown>): Promise<string> {
  try {
    await outcome;
  } catch (error) {
    if (error instanceof RequestError) return `${error.code} ${error.scheme}`;
    if (error instanceof UpstreamError) return 'upstream';
    throw error;
  }
  return 'taken';
}

test('a token becomes a principal of its tenant, named by its issuer', async () => {
  const { authenticate } = createScene();
  const principal = await authenticate(await signToken(key, { sid: 's', gid: 'g' }));
  expect(principal).toMatchObject({
    kind: 'user',
    subject: 'id|ada',
    credentialId: 'token-1',
    activeTenantId: 'acme',
    role: 'merchant',
    scopes: ['notes:read'],
    token: {
      issuer: 'https://id.example',
      tokenId: 'token-1',
      sessionId: 's',
      grantId: 'g',
      clientId: 'client-1',
    },
  });
  expect(Object.isFrozen(principal)).toBe(true);
});

test.each<[string, JWTPayload, string]>([
  ['names no tenant', { tenant: undefined }, 'forbidden Bearer'],
  ['names what is no tenant', { tenant: 'a b' }, 'forbidden Bearer'],
  ['is bound in a way that we cannot check', { cnf: { 'x5t#S256': 'x' } }, 'invalid_token Bearer'],
])('a token that %s is refused', async (_, claims, code) => {
  expect(await codeOf(createScene().authenticate(await signToken(key, claims)))).toBe(code);
});

test('an issuer cannot give every scope by a star', async () => {
  const { authenticate } = createScene();
  expect((await authenticate(await signToken(key, { scope: '* notes:read' }))).scopes).toEqual([
    'notes:read',
  ]);
});

test('a thousand first uses of one token at once cause one validation, and later uses none', async () => {
  const { scene, authenticator, authenticate } = createScene();
  const token = await signToken(key);
  const principals = await Promise.all(Array.from({ length: 1000 }, () => authenticate(token)));
  expect(scene.validations).toBe(1);
  expect(new Set(principals).size).toBe(1);
  await authenticate(token);
  expect(authenticator.authenticate(token)).toBe(principals[0]);
  expect(scene.validations).toBe(1);
});

test('a token is validated again after a minute, and is not taken past its end', async () => {
  const { scene, authenticate } = createScene();
  const token = await signToken(key, { exp: Math.floor(scene.now / 1000) + 90 });
  await authenticate(token);
  scene.now += 61_000;
  await authenticate(token);
  expect(scene.validations).toBe(2);
  scene.now += 30_000;
  expect(await codeOf(authenticate(token))).toBe('invalid_token Bearer');
});

test('a bad signature is remembered for two seconds, an unreachable issuer not at all', async () => {
  const { scene, authenticate } = createScene();
  const bad = await signToken(await createIssuerKey('k1'));
  for (let index = 0; index < 10; index += 1)
    expect(await codeOf(authenticate(bad))).toBe('invalid_token Bearer');
  expect(scene.validations).toBe(1);
  scene.now += 2001;
  await codeOf(authenticate(bad));
  expect(scene.validations).toBe(2);
  scene.isIssuerDown = true;
  const good = await signToken(key);
  expect(await codeOf(authenticate(good))).toBe('upstream');
  scene.isIssuerDown = false;
  expect(await codeOf(authenticate(good))).toBe('taken');
});

test('a revoked token is refused at its next use, though it is in memory', async () => {
  const { authenticate, revocations } = createScene();
  const token = await signToken(key);
  await authenticate(token);
  await revocations.revoke('user', 'id|ada');
  expect(await codeOf(authenticate(token))).toBe('invalid_token Bearer');
});

test('what another instance validated is not validated again, and an unreachable store is passed by', async () => {
  const kept = new Map<string, ValidatedToken>();
  const shared: ValidatedTokens = {
    load: (hash) => Promise.resolve(kept.get(hash)),
    save: (hash, value) => Promise.resolve(void kept.set(hash, value)),
  };
  const token = await signToken(key);
  await createScene({ shared }).authenticate(token);
  expect([...kept.keys()]).toEqual([createHash('sha256').update(token).digest('base64url')]);
  const second = createScene({ shared });
  await second.authenticate(token);
  expect(second.scene.validations).toBe(0);
  const down = (): Promise<never> => Promise.reject(new UpstreamError('redis', 'down'));
  const third = createScene({ shared: { load: down, save: down } });
  expect(await codeOf(third.authenticate(token))).toBe('taken');
});

test('more tokens than the bound are all taken, and the first is validated again', async () => {
  const { scene, authenticate } = createScene({ maxEntries: 2 });
  const tokens = await Promise.all(['a', 'b', 'c'].map((jti) => signToken(key, { jti })));
  for (const token of tokens) await authenticate(token);
  await authenticate(tokens[0] ?? '');
  expect(scene.validations).toBe(4);
});

test('an API key goes to the keys, a token to the tokens, and neither to the other', async () => {
  const told: string[] = [];
  const toTeller = (name: string) => ({
    authenticate: (): Principal => {
      told.push(name);
      throw new RequestError('invalid_token', name);
    },
  });
  const both = new CredentialAuthenticator({ keys: toTeller('keys'), tokens: toTeller('tokens') });
  for (const credential of ['mooring_mcp_abc', await signToken(key), 'eyes_mcp_abc', ''])
    expect(() => both.authenticate(credential)).toThrow(RequestError);
  expect(told).toEqual(['keys', 'tokens', 'keys', 'keys']);
  const request = { scheme: 'DPoP', method: 'POST', url: 'https://mcp.example.com/mcp' } as const;
  expect(() => both.authenticate('mooring_mcp_abc', request)).toThrow('The token is not valid');
});

describe('a token that is bound to a key', () => {
  const url = 'https://mcp.example.com/mcp';

  async function prove(
    token: string,
    {
      header = {},
      signer = clientKey,
      ...claims
    }: Record<string, unknown> & { header?: object; signer?: IssuerKey } = {},
  ): Promise<Presentation> {
    const { kty = '', crv = '', x = '', y = '' } = signer.jwk;
    const proof = await new SignJWT({
      jti: randomUUID(),
      htm: 'POST',
      htu: url,
      iat: Math.floor(Date.now() / 1000),
      ath: createHash('sha256').update(token).digest('base64url'),
      ...claims,
    })
      .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk: { kty, crv, x, y }, ...header })
      .sign(signer.privateKey);
    return { scheme: 'DPoP', method: 'POST', url, proof };
  }

  const bound = (): Promise<string> => signToken(key, { cnf: { jkt } });

  test('is taken with a proof, and with a new one each time', async () => {
    const { authenticate } = createScene();
    const token = await bound();
    expect(await codeOf(authenticate(token, await prove(token)))).toBe('taken');
    expect(await codeOf(authenticate(token, await prove(token)))).toBe('taken');
  });

  test('is refused as a bearer token, with a proof beside it or without', async () => {
    const { authenticate } = createScene();
    const token = await bound();
    expect(await codeOf(authenticate(token))).toBe('invalid_token DPoP');
    const proven = await prove(token);
    expect(await codeOf(authenticate(token, { ...proven, scheme: 'Bearer' }))).toBe('invalid_token DPoP');
    await authenticate(token, proven);
    expect(await codeOf(authenticate(token))).toBe('invalid_token DPoP');
  });

  test('is refused with a proof that came before, of many at once all but one', async () => {
    const { authenticate } = createScene();
    const token = await bound();
    const proven = await prove(token);
    const codes = await Promise.all(Array.from({ length: 20 }, () => codeOf(authenticate(token, proven))));
    expect(codes.filter((code) => code === 'taken')).toHaveLength(1);
    expect(await codeOf(authenticate(token, proven))).toBe('invalid_dpop_proof DPoP');
  });

  test.each<[string, Record<string, unknown>]>([
    ['another method', { htm: 'GET' }],
    ['another path', { htu: 'https://mcp.example.com/other' }],
    ['another host', { htu: 'https://evil.example/mcp' }],
    ['another token', { ath: 'A'.repeat(43) }],
    ['no token', { ath: undefined }],
    ['a time long ago', { iat: Math.floor(Date.now() / 1000) - 120 }],
    ['a time to come', { iat: Math.floor(Date.now() / 1000) + 120 }],
    ['no id', { jti: undefined }],
    ['another type', { header: { typ: 'JWT' } }],
  ])('is refused with a proof for %s', async (_, claims) => {
    const token = await bound();
    expect(await codeOf(createScene().authenticate(token, await prove(token, claims)))).toBe(
      'invalid_dpop_proof DPoP',
    );
  });

  test('is refused with a proof by another key, one that shows its private part, or none', async () => {
    const { authenticate } = createScene();
    const token = await bound();
    const signer = await createIssuerKey('c2');
    expect(await codeOf(authenticate(token, await prove(token, { signer })))).toBe('invalid_dpop_proof DPoP');
    const header = { jwk: { ...clientKey.jwk, d: 'AAAA' } };
    expect(await codeOf(authenticate(token, await prove(token, { header })))).toBe('invalid_dpop_proof DPoP');
    const { proof: _, ...without } = await prove(token);
    expect(await codeOf(authenticate(token, without))).toBe('invalid_dpop_proof DPoP');
    for (const proof of ['', 'x', `${(await prove(token)).proof}, ${(await prove(token)).proof}`])
      expect(await codeOf(authenticate(token, { ...without, proof }))).toBe('invalid_dpop_proof DPoP');
  });

  test('accepts the URL spelled otherwise, and with a query', async () => {
    const { authenticate } = createScene();
    const token = await bound();
    for (const htu of ['HTTPS://MCP.example.com:443/mcp', 'https://mcp.example.com/mcp?x=1#y'])
      expect(await codeOf(authenticate(token, await prove(token, { htu })))).toBe('taken');
  });

  test('is the only one that comes with a proof: another is refused', async () => {
    const token = await signToken(key);
    expect(await codeOf(createScene().authenticate(token, await prove(token)))).toBe('invalid_token DPoP');
  });

  test('a guard that is full is unavailable, and forgets nothing that could be used again', () => {
    let now = 0;
    const guard = new MemoryReplayGuard({ maxEntries: 2, now: () => now });
    expect([guard.claim('a', 100), guard.claim('b', 100), guard.claim('a', 100)]).toEqual([
      true,
      true,
      false,
    ]);
    expect(() => guard.claim('c', 100)).toThrow(UpstreamError);
    now += 100;
    expect(guard.claim('c', 100)).toBe(true);
  });
});
