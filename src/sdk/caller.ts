import type { AuthInfo } from '@modelcontextprotocol/server';
import type { Principal } from '../auth/principal.ts';

/**
 * A principal as the SDK shows callers to factories and handlers (`ctx.http.authInfo`).
 *
 * `token` is empty: a hosted server must not pass the caller's credential on. `extra.principal` is the principal.
 */
export function toAuthInfo(principal: Principal, resourceMetadataUrl: string | undefined): AuthInfo {
  return {
    token: '',
    clientId: principal.credentialId,
    scopes: [...principal.scopes],
    ...(principal.expiresAt !== undefined && { expiresAt: Math.floor(principal.expiresAt / 1000) }),
    ...(resourceMetadataUrl !== undefined && { resourceMetadataUrl }),
    extra: { principal },
  };
}
