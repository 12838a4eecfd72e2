/**
 * What real clients say of themselves, made into what our authorization server takes. Strictness here does not protect
 * anybody: it only keeps out clients whose next request would have been fine.
 */
import { jwtBearerGrant } from './grants/identity-assertion-grant.ts';
import type { ClientMetadata } from './oauth-clients.ts';
import { isRedirectUriAllowed, isWebRedirect } from './redirect-uris.ts';

/** Grants that a client may use on a user's behalf; what else it names is left out. */
const userGrants = ['authorization_code', 'refresh_token'] as const;
/** One that a client may name beside them, which proves itself: whoever presents an assertion must be who it is made for. */
const provenGrants: readonly string[] = [jwtBearerGrant];
const authMethods = new Set(['none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt']);
/** What is kept of a registration; anything else is of no use here. RFC 7591, section 2. */
const keptFields = [
  'client_name',
  'client_uri',
  'logo_uri',
  'policy_uri',
  'tos_uri',
  'software_id',
  'software_version',
  'jwks',
  'jwks_uri',
  'token_endpoint_auth_signing_alg',
  'dpop_bound_access_tokens',
] as const;
/** Addresses of pages: shown, so they must be what a browser can open safely. */
const pageFields = new Set(['client_uri', 'logo_uri', 'policy_uri', 'tos_uri']);
const maxNameLength = 200;
const maxRedirectUris = 32;

/** Metadata, or what is wrong with it. */
export type NormalizedMetadata =
  | { readonly kind: 'metadata'; readonly metadata: ClientMetadata }
  /** As an OAuth error. RFC 7591, section 3.2.2. */
  | {
      readonly kind: 'invalid';
      readonly error: 'invalid_redirect_uri' | 'invalid_client_metadata';
      readonly description: string;
    };

/**
 * Drops `scope` (it would become a ceiling, and a client that must step up could not), grants and methods that we do
 * not have, and addresses that a browser should not open; infers `application_type`, which real clients leave out.
 */
export function normalizeClientMetadata(given: unknown): NormalizedMetadata {
  if (typeof given !== 'object' || given === null || Array.isArray(given))
    return invalid('invalid_client_metadata', 'the metadata must be a JSON object');
  // An object with any fields: each is looked at before it is used.
  const fields = given as Readonly<Record<string, unknown>>;
  const redirectUris = fields['redirect_uris'];
  if (!Array.isArray(redirectUris) || redirectUris.length === 0 || redirectUris.length > maxRedirectUris)
    return invalid('invalid_redirect_uri', `redirect_uris must name 1 to ${maxRedirectUris} URIs`);
  for (const uri of redirectUris) {
    if (typeof uri !== 'string' || !isRedirectUriAllowed(uri))
      return invalid(
        'invalid_redirect_uri',
        'a redirect URI must be https, http on a loopback address, or of an application of its own, without fragment',
      );
  }
  const keysUri = fields['jwks_uri'];
  if (keysUri !== undefined && keysUri !== null && !isPage(keysUri))
    return invalid('invalid_client_metadata', 'jwks_uri must be an https URL');
  const asked = fields['token_endpoint_auth_method'];
  const method = typeof asked === 'string' && authMethods.has(asked) ? asked : 'none';
  const grants: readonly unknown[] = Array.isArray(fields['grant_types']) ? fields['grant_types'] : [];
  const metadata: Record<string, unknown> = {
    redirect_uris: [...new Set(redirectUris as string[])],
    grant_types: [
      ...userGrants,
      ...(method === 'none' ? [] : provenGrants.filter((each) => grants.includes(each))),
    ],
    response_types: ['code'],
    token_endpoint_auth_method: method,
    application_type: redirectUris.every((uri: string) => isWebRedirect(uri)) ? 'web' : 'native',
  };
  for (const field of keptFields) {
    const value = fields[field];
    if (value === undefined || value === null || (pageFields.has(field) && !isPage(value))) continue;
    metadata[field] = value;
  }
  if (metadata['client_name'] !== undefined) metadata['client_name'] = toName(metadata['client_name']);
  return { kind: 'metadata', metadata };
}

function isPage(value: unknown): boolean {
  return (
    typeof value === 'string' &&
    value.length <= 2048 &&
    URL.canParse(value) &&
    new URL(value).protocol === 'https:'
  );
}

/** One line without what could make it look like something else on a page or in a terminal. */
function toName(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined;
  const name = value.replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, ' ').trim();
  // By code points: half of one is none.
  return name === '' ? undefined : Array.from(name).slice(0, maxNameLength).join('').trimEnd();
}

function invalid(
  error: 'invalid_redirect_uri' | 'invalid_client_metadata',
  description: string,
): NormalizedMetadata {
  return { kind: 'invalid', error, description };
}
