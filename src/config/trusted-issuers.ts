/** Issuers whose tokens this host takes: what an operator writes of one, made whole by a preset, and checked. */
import { z } from 'zod';
import { toCanonicalUri } from '../lib/canonical-uri.ts';
import { type IssuerPreset, issuerPresets } from './issuer-presets.ts';
import { isLoopback } from './loopback.ts';

/** What a token of an issuer may be used for. `id-jag`: an assertion for the authorization server here. */
export type IssuerUse = 'access' | 'identity' | 'id-jag';

/** How a token of an issuer comes to a tenant. `membership`: by our own table of users. */
export type TenantRule =
  | { readonly kind: 'claim'; readonly claim: string }
  | { readonly kind: 'fixed'; readonly tenantId: string }
  | { readonly kind: 'membership' };

/** One issuer, complete. */
export interface TrustedIssuer {
  /** For people, logs, and the subjects of its tokens. Unique. */
  readonly name: string;
  /** `iss` values, exact. */
  readonly issuers: readonly string[];
  /** Absent: told by the discovery document of the first issuer. */
  readonly jwksUri?: string;
  /** Access tokens name one of these; canonical, see `toCanonicalUri`. Empty only when `uses` lacks `access`. */
  readonly audiences: readonly string[];
  /** Identity tokens name one of these. */
  readonly identityAudiences: readonly string[];
  /** `typ` in the header of access tokens. */
  readonly tokenType: 'at+jwt' | 'JWT' | 'any';
  /** Of signatures. Neither `none` nor any with a shared secret. */
  readonly algorithms: readonly string[];
  readonly clientIdClaims: readonly string[];
  readonly scopeClaims: readonly string[];
  /** Every token has these, beside those it names. */
  readonly scopes: readonly string[];
  readonly tenant: TenantRule;
  /** Absent: every caller has `role`. */
  readonly roleClaim?: string;
  readonly role: string;
  readonly uses: readonly IssuerUse[];
  /** Claims that access tokens have with exactly these values. */
  readonly accessClaims: Readonly<Record<string, string>>;
}

/** The records, or everything that is wrong with them. */
export type TrustedIssuersParsing =
  | { readonly kind: 'value'; readonly value: readonly TrustedIssuer[] }
  | { readonly kind: 'problem'; readonly problem: string };

const maxIssuers = 50;
const name = z
  .string()
  .regex(/^[a-z][a-z0-9_-]{0,31}$/, 'must be 1 to 32 of a-z, 0-9, _ and -, a letter first');
const text = z.string().min(1).max(512);
const texts = z.union([text, z.array(text).min(1).max(20)]).transform((value) => [value].flat());
const claim = z.string().min(1).max(256);
/** Signatures of others that may be taken at all: neither `none` nor any with a shared secret. */
export const signatureAlgorithms = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
] as const;

const schema = z.strictObject({
  name,
  preset: z.enum(['authkit', 'auth0', 'firebase', 'keycloak', 'entra', 'oidc']).default('oidc'),
  issuer: texts,
  jwksUri: text.optional(),
  audience: texts.optional(),
  identityAudience: texts.optional(),
  tokenType: z.enum(['at+jwt', 'JWT', 'any']).optional(),
  algorithms: z.array(z.enum(signatureAlgorithms)).min(1).optional(),
  clientIdClaim: claim.optional(),
  scopeClaim: claim.optional(),
  scopes: z
    .array(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,128}$/))
    .max(100)
    .default([]),
  tenantClaim: claim.optional(),
  tenantId: z.string().min(1).max(128).optional(),
  membership: z.literal(true).optional(),
  roleClaim: claim.optional(),
  role: z.string().min(1).max(64).default('merchant'),
  uses: z
    .array(z.enum(['access', 'identity', 'id-jag']))
    .min(1)
    .optional(),
});

type Given = z.infer<typeof schema>;

/**
 * Reads the setting: JSON text, or an array from `mooring.config`. Never throws.
 *
 * @returns the records, or every problem at once, each with the place it is at
 */
export function parseTrustedIssuers(raw: unknown): TrustedIssuersParsing {
  let value = raw;
  if (typeof raw === 'string') {
    try {
      value = JSON.parse(raw);
    } catch {
      return { kind: 'problem', problem: 'expected a JSON array of trusted issuers: it is not valid JSON' };
    }
  }
  if (!Array.isArray(value) || value.length > maxIssuers) {
    return { kind: 'problem', problem: `expected an array of at most ${maxIssuers} trusted issuers` };
  }
  const problems: string[] = [];
  const issuers: TrustedIssuer[] = [];
  for (const [index, item] of value.entries()) {
    const parsed = schema.safeParse(item);
    if (parsed.success) issuers.push(completeIssuer(parsed.data, `[${index}]`, problems));
    else {
      for (const { path, message } of parsed.error.issues)
        problems.push(`[${index}]${path.map((part) => `.${String(part)}`).join('')}: ${message}`);
    }
  }
  problems.push(
    ...findDuplicates(
      'name',
      issuers.map((each) => each.name),
    ),
  );
  problems.push(
    ...findDuplicates(
      'issuer',
      issuers.flatMap((each) => each.issuers),
    ),
  );
  return problems.length === 0
    ? { kind: 'value', value: Object.freeze(issuers) }
    : { kind: 'problem', problem: problems.join('; ') };
}

function completeIssuer(given: Given, at: string, problems: string[]): TrustedIssuer {
  const preset = issuerPresets[given.preset satisfies IssuerPreset];
  const [issuer = ''] = given.issuer;
  const uses = given.uses ?? preset.uses;
  for (const each of given.issuer) {
    if (!isSecureUrl(each))
      problems.push(`${at}.issuer: must be an https URL without query and fragment; http only on loopback`);
  }
  const jwksUri = given.jwksUri ?? preset.toJwksUri?.(issuer);
  if (jwksUri !== undefined && !isSecureUrl(jwksUri, true))
    problems.push(`${at}.jwksUri: must be an https URL; http only on loopback`);
  const derived = preset.toAudience?.(issuer);
  const audiences = (given.audience ?? (derived === undefined ? [] : [derived])).map(toCanonicalUri);
  // Assertions are for the authorization server here, whose name is known.
  const needsAudience = uses.some((use) => use !== 'id-jag');
  if (needsAudience && audiences.length === 0 && given.identityAudience === undefined) {
    problems.push(
      `${at}.audience: required: without it a token that the issuer made for anybody else would be taken, e.g. the URL of the MCP endpoint`,
    );
  }
  const isForBoth = uses.includes('access') && uses.includes('identity');
  if (isForBoth && given.identityAudience === undefined) {
    problems.push(
      `${at}.identityAudience: required when access and identity tokens are both taken: the client id of sign-ins`,
    );
  }
  if (uses.includes('access') && audiences.length === 0 && given.identityAudience !== undefined)
    problems.push(`${at}.audience: required for access tokens`);
  const { clientIdClaim, scopeClaim, roleClaim } = given;
  return Object.freeze({
    name: given.name,
    issuers: given.issuer,
    ...(jwksUri !== undefined && { jwksUri }),
    audiences,
    identityAudiences: given.identityAudience?.map(toCanonicalUri) ?? audiences,
    tokenType: given.tokenType ?? preset.tokenType,
    algorithms: given.algorithms ?? preset.algorithms,
    clientIdClaims: clientIdClaim === undefined ? preset.clientIdClaims : [clientIdClaim],
    scopeClaims: scopeClaim === undefined ? preset.scopeClaims : [scopeClaim],
    scopes: given.scopes,
    tenant: toTenantRule(given, { presetClaim: preset.tenantClaim, at, problems, uses }),
    ...(roleClaim !== undefined && { roleClaim }),
    role: given.role,
    uses,
    accessClaims: preset.accessClaims ?? {},
  });
}

function toTenantRule(
  { tenantClaim, tenantId, membership }: Given,
  {
    presetClaim,
    at,
    problems,
    uses,
  }: {
    readonly presetClaim: string | undefined;
    readonly at: string;
    readonly problems: string[];
    readonly uses: readonly IssuerUse[];
  },
): TenantRule {
  if ([tenantClaim, tenantId, membership].filter((rule) => rule !== undefined).length > 1)
    problems.push(`${at}: tenantClaim, tenantId and membership exclude each other`);
  if (tenantId !== undefined) return { kind: 'fixed', tenantId };
  const claimName = tenantClaim ?? (membership === true ? undefined : presetClaim);
  if (claimName !== undefined) return { kind: 'claim', claim: claimName };
  if (membership === undefined && uses.includes('access'))
    problems.push(
      `${at}: needs one of tenantClaim, tenantId and membership: every caller belongs to a tenant`,
    );
  return { kind: 'membership' };
}

function isSecureUrl(value: string, mayHaveQuery = false): boolean {
  if (!URL.canParse(value)) return false;
  const { protocol, hostname, search, hash, username, password } = new URL(value);
  if (hash !== '' || username !== '' || password !== '' || (search !== '' && !mayHaveQuery)) return false;
  return protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname));
}

function findDuplicates(what: string, values: readonly string[]): readonly string[] {
  const twice = new Set(values.filter((value, index) => values.indexOf(value) !== index));
  return [...twice].map((value) => `${what} ${JSON.stringify(value)} is there twice`);
}
