import { createHmac } from 'node:crypto';
import { createLocalJWKSet, exportSPKI, importJWK, type CryptoKey } from 'jose';
import { beforeAll, expect, test } from 'vitest';
import { RequestError } from '../../errors.ts';
import { createIssuerKey, type IssuerKey, signToken, toTrustedIssuer } from './test-issuer.contract.ts';
import { BadSignature, createTokenVerifier, type TokenVerifier } from './token-verifier.ts';

let key: IssuerKey;
let rsaKey: IssuerKey;

beforeAll(async () => {
  key = await createIssuerKey('k1');
  rsaKey = await createIssuerKey('r1', 'RS256');
});

function createVerifier(given: object = {}): TokenVerifier {
  const find = createLocalJWKSet({ keys: [key.jwk, rsaKey.jwk] });
  return createTokenVerifier([{ issuer: toTrustedIssuer(given), keys: { find } }]);
}

async function refusalOf(token: string, given: object = {}): Promise<RequestError> {
  try {
    await createVerifier(given).verify(token, 'access');
  } catch (error) {
    if (error instanceof RequestError) return error;
    throw error;
  }
  throw new Error('it was taken');
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

const seconds = (): number => Math.floor(Date.now() / 1000);

test('a token of a trusted issuer for this audience is taken', async () => {
  const { payload } = await createVerifier().verify(await signToken(key), 'access');
  expect(payload.sub).toBe('ada');
});

test.each(['https://MCP.example.com/mcp', 'HTTPS://mcp.example.com:443/mcp', 'https://mcp.example.com/mcp/'])(
  'the audience %s is ours, spelled otherwise',
  async (aud) => {
    await expect(createVerifier().verify(await signToken(key, { aud }), 'access')).resolves.toBeDefined();
  },
);

test.each([
  'https://mcp.example.com',
  'https://mcp.example.com/MCP',
  'https://mcp.example.com/mcp//',
  'https://mcp.example.com:8443/mcp',
  'http://mcp.example.com/mcp',
  'https://mcp.example.com/mcp?x=1',
  'https://mcp.example.com@evil.example/mcp',
])('the audience %s is another', async (aud) => {
  expect((await refusalOf(await signToken(key, { aud }))).detail).toBe('for another audience');
});

test.each([
  ['expired', () => ({ exp: seconds() - 1 })],
  ['not yet valid', () => ({ nbf: seconds() + 120 })],
  ['issued in the future', () => ({ iat: seconds() + 120 })],
  ['of another issuer', () => ({ iss: 'https://evil.example' })],
  ['of an issuer with a slash more', () => ({ iss: 'https://id.example/' })],
  ['without a subject', () => ({ sub: undefined })],
  ['without an end', () => ({ exp: undefined })],
  ['that lives longer than revocations are remembered', () => ({ exp: seconds() + 31 * 24 * 3600 })],
  ['of a type that is not at+jwt', () => ({ header: { typ: 'JWT' } })],
  ['with a header that must be understood', () => ({ header: { crit: ['x'], x: 1 } })],
])('a token %s is refused, and why is for the log alone', async (_, toClaims) => {
  const token = await signToken(key, toClaims() as Parameters<typeof signToken>[1]).catch(() => 'ey.ey.x');
  const refusal = await refusalOf(token);
  expect(refusal.code).toBe('invalid_token');
  expect(refusal.message).toBe('The token is not valid');
  expect(refusal.detail).not.toContain(token);
});

test('a token that ended less than the tolerance ago has ended', async () => {
  expect((await refusalOf(await signToken(key, { exp: seconds() - 2, iat: seconds() - 60 }))).detail).toBe(
    'expired',
  );
});

test('a token without a signature is refused', async () => {
  const [, payload] = (await signToken(key)).split('.');
  for (const alg of ['none', 'None', 'NONE'])
    expect((await refusalOf(`${encode({ alg, typ: 'at+jwt' })}.${payload}.`)).code).toBe('invalid_token');
});

test('a public key is no shared secret: HS256 with it is refused', async () => {
  const pem = await exportSPKI((await importJWK(rsaKey.jwk, 'RS256', { extractable: true })) as CryptoKey);
  const [, payload = ''] = (await signToken(rsaKey)).split('.');
  const input = `${encode({ alg: 'HS256', typ: 'at+jwt', kid: 'r1' })}.${payload}`;
  for (const secret of [pem, JSON.stringify(rsaKey.jwk)]) {
    const signature = createHmac('sha256', secret).update(input).digest('base64url');
    expect((await refusalOf(`${input}.${signature}`)).code).toBe('invalid_token');
  }
});

test('an algorithm that the record does not allow is refused, though the key is there', async () => {
  const refusal = await refusalOf(await signToken(rsaKey), { algorithms: ['ES256'] });
  expect(refusal.detail).toBe('ERR_JOSE_ALG_NOT_ALLOWED');
});

test('a bad signature is told apart: it alone may be remembered', async () => {
  const other = await createIssuerKey('k1');
  expect(await refusalOf(await signToken(other))).toBeInstanceOf(BadSignature);
  expect(await refusalOf(await signToken(key, { aud: 'x' }))).not.toBeInstanceOf(BadSignature);
});

test.each(['', 'ey', 'ey.ey.ey', 'eyJ.eyJ.x', 'a.b.c.d.e', 'ey'.repeat(10_000)])(
  'what is no token is refused (%#)',
  async (token) => {
    expect((await refusalOf(token)).code).toBe('invalid_token');
  },
);

test('an ID token is no access token, where the type does not tell them apart', async () => {
  const any = { tokenType: 'any' };
  const header = { typ: 'JWT' };
  expect(await createVerifier(any).verify(await signToken(key, { header }), 'access')).toBeDefined();
  for (const claims of [{ nonce: 'n' }, { at_hash: 'h' }, { c_hash: 'h' }, { scope: undefined }])
    expect((await refusalOf(await signToken(key, { header, ...claims }), any)).code).toBe('invalid_token');
});

test("Keycloak's ID and refresh tokens say so, and are refused", async () => {
  const preset = { preset: 'keycloak' };
  const header = { typ: 'JWT' };
  expect(
    await createVerifier(preset).verify(await signToken(key, { header, typ: 'Bearer' }), 'access'),
  ).toBeDefined();
  for (const typ of ['ID', 'Refresh'])
    expect((await refusalOf(await signToken(key, { header, typ }), preset)).code).toBe('invalid_token');
});

test('an issuer that is trusted for identity is not for access, nor the other way round', async () => {
  const identity = { uses: ['identity'] };
  expect((await refusalOf(await signToken(key), identity)).detail).toContain('not trusted for access');
  const idToken = await signToken(key, { header: { typ: 'JWT' } });
  await expect(createVerifier(identity).verify(idToken, 'identity')).resolves.toBeDefined();
  await expect(createVerifier(identity).verify(await signToken(key), 'identity')).rejects.toThrow(
    RequestError,
  );
  await expect(createVerifier().verify(idToken, 'identity')).rejects.toThrow(RequestError);
});

test("a token that another trusted issuer's key signed is refused", async () => {
  const other = await createIssuerKey('k1');
  const verifier = createTokenVerifier([
    { issuer: toTrustedIssuer(), keys: { find: createLocalJWKSet({ keys: [key.jwk] }) } },
    {
      issuer: toTrustedIssuer({ name: 'b', issuer: 'https://b.example' }),
      keys: { find: createLocalJWKSet({ keys: [other.jwk] }) },
    },
  ]);
  await expect(verifier.verify(await signToken(other), 'access')).rejects.toThrow(BadSignature);
});
