import fc from 'fast-check';
import { expect, test } from 'vitest';
import { normalizeClientMetadata } from './client-metadata.ts';

const redirect = 'https://client.example/callback';

function normalize(more: Readonly<Record<string, unknown>> = {}) {
  const normalized = normalizeClientMetadata({ redirect_uris: [redirect], ...more });
  return normalized.kind === 'metadata' ? normalized.metadata : normalized;
}

test('what would narrow a client, or is not offered here, is left out', () => {
  const metadata = normalize({
    scope: 'notes:read',
    grant_types: ['urn:ietf:params:oauth:grant-type:device_code'],
    response_types: ['token'],
    token_endpoint_auth_method: 'tls_client_auth',
    contacts: ['nobody'],
    client_id: 'mine',
    client_secret: 'mine too',
  });
  expect(metadata).toEqual({
    redirect_uris: [redirect],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
    application_type: 'web',
  });
});

test.each([
  [[redirect], 'web'],
  [['cursor://callback'], 'native'],
  [['http://localhost/callback'], 'native'],
  [[redirect, 'http://127.0.0.1:1/callback'], 'native'],
])('%j is of a %s application, whatever the client says', (redirectUris, type) => {
  for (const said of ['web', 'native', undefined])
    expect(normalize({ redirect_uris: redirectUris, application_type: said })).toHaveProperty(
      'application_type',
      type,
    );
});

test('addresses that a browser should not open are left out, and keys come over https', () => {
  const metadata = normalize({
    logo_uri: 'javascript:alert(1)',
    tos_uri: 'http://a.example/',
    policy_uri: 7,
  });
  expect(Object.keys(metadata)).not.toEqual(expect.arrayContaining([expect.stringMatching(/_uri$/)]));
  expect(normalize({ jwks_uri: 'http://keys.example/jwks' })).toMatchObject({
    kind: 'invalid',
    error: 'invalid_client_metadata',
  });
});

test('a name is one line of bounded length', () => {
  expect(normalize({ client_name: 'a\u202Eb\nc\u0000' })).toHaveProperty('client_name', 'a b c');
  expect(String(Reflect.get(normalize({ client_name: 'x'.repeat(999) }), 'client_name'))).toHaveLength(200);
  const cut = normalize({ client_name: `${'x'.repeat(198)} 🚢🚢🚢` });
  expect(cut).toHaveProperty('client_name', `${'x'.repeat(198)} 🚢`);
});

test('whatever is registered, the answer is metadata or an error, and normal metadata stay as they are', () => {
  const anything = fc.oneof(
    fc.jsonValue(),
    fc.record({ redirect_uris: fc.array(fc.webUrl(), { minLength: 1 }), client_name: fc.string() }),
  );
  fc.assert(
    fc.property(anything, (given) => {
      const once = normalizeClientMetadata(given);
      if (once.kind === 'metadata') expect(normalizeClientMetadata(once.metadata)).toEqual(once);
      else expect(once.error).toMatch(/^invalid_/);
    }),
  );
});
