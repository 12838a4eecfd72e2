import { exportJWK, generateKeyPair, type JWTPayload, SignJWT, type CryptoKey, type JWK } from 'jose';
import { parseTrustedIssuers, type TrustedIssuer } from '../../config/trusted-issuers.ts';

/** A key of an issuer, with what is published of it. */
export interface IssuerKey {
  readonly privateKey: CryptoKey;
  readonly jwk: JWK;
}

/** Makes a key. */
export async function createIssuerKey(kid: string, algorithm = 'ES256'): Promise<IssuerKey> {
  const { privateKey, publicKey } = await generateKeyPair(algorithm, { extractable: true });
  return { privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg: algorithm, use: 'sig' } };
}

/** The record of an issuer. @param given beyond name, issuer, audience and tenant */
export function toTrustedIssuer(given: object = {}): TrustedIssuer {
  const parsing = parseTrustedIssuers([
    {
      name: 'id',
      issuer: 'https://id.example',
      audience: 'https://mcp.example.com/mcp',
      tenantClaim: 'tenant',
      ...given,
    },
  ]);
  if (parsing.kind === 'problem') throw new Error(parsing.problem);
  return parsing.value[0] as TrustedIssuer;
}

/** Signs an access token as a good issuer would. @param given claims and header beyond the good ones */
export async function signToken(
  { privateKey, jwk }: IssuerKey,
  { header = {}, ...claims }: JWTPayload & { readonly header?: Record<string, unknown> } = {},
): Promise<string> {
  const iat = Math.floor(Date.now() / 1000);
  return new SignJWT({
    iss: 'https://id.example',
    aud: 'https://mcp.example.com/mcp',
    sub: 'ada',
    jti: 'token-1',
    client_id: 'client-1',
    scope: 'notes:read',
    tenant: 'acme',
    iat,
    exp: iat + 600,
    ...claims,
  })
    .setProtectedHeader({ alg: jwk.alg ?? 'ES256', typ: 'at+jwt', kid: jwk.kid ?? '', ...header })
    .sign(privateKey);
}
