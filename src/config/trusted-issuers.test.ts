import { expect, test } from 'vitest';
import { issuerPresets } from './issuer-presets.ts';
import { parseTrustedIssuers, type TrustedIssuer } from './trusted-issuers.ts';

const record = {
  name: 'id',
  issuer: 'https://id.example',
  audience: 'https://mcp.example.com/mcp',
  tenantId: 'acme',
};

function parseOne(given: object): TrustedIssuer {
  const parsing = parseTrustedIssuers([given]);
  if (parsing.kind === 'problem') throw new Error(parsing.problem);
  return parsing.value[0] as TrustedIssuer;
}

function problemOf(...given: unknown[]): string {
  const parsing = parseTrustedIssuers(given);
  return parsing.kind === 'problem' ? parsing.problem : '';
}

test('a record without an audience rule is refused, whatever its preset, but for Firebase, whose project says it', () => {
  for (const preset of Object.keys(issuerPresets)) {
    const { audience: _, ...without } = { ...record, preset };
    expect(problemOf(without), preset).toContain('audience: required');
  }
  const firebase = parseOne({
    name: 'firebase',
    preset: 'firebase',
    issuer: 'https://securetoken.google.com/shop-1',
  });
  expect(firebase.identityAudiences).toEqual(['shop-1']);
  expect(firebase.uses).toEqual(['identity']);
});

test('an issuer of assertions for the server here needs no audience, unless it is trusted for more', () => {
  const assertions = { name: 'acme', issuer: 'https://id.example', uses: ['id-jag'] };
  expect(parseOne(assertions)).toMatchObject({ audiences: [], tenant: { kind: 'membership' } });
  expect(problemOf({ ...assertions, uses: ['id-jag', 'identity'] })).toContain('audience: required');
});

test('every problem of every record is told at once, with its place', () => {
  const problem = problemOf(
    { ...record, issuer: 'http://id.example' },
    { ...record, name: 'Two', surprise: 1 },
    { name: 'three', issuer: 'https://three.example' },
  );
  expect(problem).toContain('[0].issuer');
  expect(problem).toContain('[1].name');
  expect(problem).toContain('surprise');
  expect(problem).toContain('[2].audience');
  expect(problem).toContain('[2]: needs one of tenantClaim');
});

test('an issuer over http is taken on loopback alone', () => {
  expect(problemOf({ ...record, issuer: 'http://127.0.0.1:9000' })).toBe('');
  expect(problemOf({ ...record, issuer: 'http://id.example' })).toContain('https');
  expect(problemOf({ ...record, jwksUri: 'http://id.example/jwks' })).toContain('jwksUri');
});

test('two records of one name, or one issuer, are refused', () => {
  expect(problemOf(record, { ...record, issuer: 'https://b.example' })).toContain('name "id" is there twice');
  expect(problemOf(record, { ...record, name: 'b' })).toContain('issuer "https://id.example" is there twice');
});

test.each(['none', 'HS256', 'HS512', 'RSA-OAEP'])('the algorithm %s cannot be allowed', (algorithm) => {
  expect(problemOf({ ...record, algorithms: [algorithm] })).toContain('algorithms');
});

test('one audience for access and identity tokens alike would let an ID token pass, and is refused', () => {
  expect(problemOf({ ...record, uses: ['access', 'identity'] })).toContain('identityAudience');
});

test('text that is no JSON is refused without quoting it', () => {
  expect(parseTrustedIssuers('[{"name": "secret-text"')).toEqual({
    kind: 'problem',
    problem: 'expected a JSON array of trusted issuers: it is not valid JSON',
  });
});

test.each([
  ['authkit', 'https://a.authkit.app', 'https://a.authkit.app/oauth2/jwks'],
  ['auth0', 'https://a.auth0.com/', 'https://a.auth0.com/.well-known/jwks.json'],
  ['keycloak', 'https://kc.example/realms/a', 'https://kc.example/realms/a/protocol/openid-connect/certs'],
  [
    'entra',
    'https://login.microsoftonline.com/t/v2.0',
    'https://login.microsoftonline.com/t/discovery/v2.0/keys',
  ],
])('the preset %s knows where the keys are', (preset, issuer, jwksUri) => {
  expect(parseOne({ ...record, preset, issuer }).jwksUri).toBe(jwksUri);
});
