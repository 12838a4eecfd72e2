import { createLocalJWKSet } from 'jose';
import { beforeAll, expect, test } from 'vitest';
import type { IdentityVerifier } from '../tokens/identity-verifier.ts';
import { createIdentityVerifier } from './issuer-identities.ts';
import { createIssuerKey, type IssuerKey, signToken, toTrustedIssuer } from './test-issuer.contract.ts';
import { createTokenVerifier } from './token-verifier.ts';

const issuer = 'https://securetoken.google.com/shop-1';
let key: IssuerKey;
let identities: IdentityVerifier;

beforeAll(async () => {
  key = await createIssuerKey('k1', 'RS256');
  const record = toTrustedIssuer({ preset: 'firebase', issuer, audience: 'shop-1', tenantClaim: undefined });
  const keys = { find: createLocalJWKSet({ keys: [key.jwk] }) };
  identities = createIdentityVerifier(createTokenVerifier([{ issuer: record, keys }]));
});

function sign(claims: Record<string, unknown> = {}): Promise<string> {
  return signToken(key, { iss: issuer, aud: 'shop-1', header: { typ: 'JWT' }, ...claims });
}

test('says who a Firebase user is, without an address that the issuer does not vouch for', async () => {
  const claims = { name: 'Ada', email: 'ada@shop.example', auth_time: 1000 };
  expect(await identities.verifyIdentity(await sign(claims), 'id')).toEqual({
    issuer,
    subject: 'ada',
    name: 'Ada',
    email: 'ada@shop.example',
    authenticatedAt: 1_000_000,
  });
  const unverified = await identities.verifyIdentity(await sign({ ...claims, email_verified: false }));
  expect(unverified.email).toBeUndefined();
});

test('tells names and addresses as one line, without what moves a terminal, whatever people call themselves', async () => {
  const claims = { name: 'Ada\n\u001b[2J\u0000 L\u00f6we\u202e', email: 'ada@shop.example\u0007' };
  expect(await identities.verifyIdentity(await sign(claims))).toMatchObject({
    name: 'Ada  [2J  L\u00f6we',
    email: 'ada@shop.example',
  });
  expect(await identities.verifyIdentity(await sign({ name: '\u0000' }))).not.toHaveProperty('name');
});

test.each<[string, Record<string, unknown>, string?]>([
  ['another project', { aud: 'shop-2' }],
  ['nobody', { sub: '' }],
  ['somebody who cannot be told in a line', { sub: 'ada\u001b[2J' }],
  ['somebody whose name is longer than names are', { sub: 'a'.repeat(256) }],
  ['a sign-in to come', { auth_time: Math.floor(Date.now() / 1000) + 3600 }],
  ['another issuer than asked for', {}, 'https://other.example'],
])('refuses an identity token of %s', async (_, claims, from) => {
  await expect(identities.verifyIdentity(await sign(claims), from)).rejects.toMatchObject({
    code: 'invalid_token',
  });
});

test('a user of an issuer with two names is one user, known by the first', async () => {
  const names = ['https://id.example', 'https://tenant.id.example'];
  const record = toTrustedIssuer({ issuer: names, uses: ['identity'], identityAudience: 'app' });
  const keys = { find: createLocalJWKSet({ keys: [key.jwk] }) };
  const both = createIdentityVerifier(
    createTokenVerifier([{ issuer: { ...record, algorithms: ['RS256'] }, keys }]),
  );
  for (const iss of names) {
    const known = await both.verifyIdentity(await sign({ iss, aud: 'app' }));
    expect(known).toMatchObject({ issuer: names[0], subject: 'ada' });
  }
});
