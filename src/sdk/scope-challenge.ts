import type { AuthInfo, JSONRPCRequest, ScopeChallengeHandler } from '@modelcontextprotocol/server';
import { RequestError } from '../errors.ts';

// RFC 6749, section 3.3: scope-token. RFC 6750, section 3: error_description.
const scopeToken = /^[\x21\x23-\x5B\x5D-\x7E]+$/;
const outsideDescription = /[^\x20-\x21\x23-\x5B\x5D-\x7E]/g;

/**
 * Holds a request to the scopes that its server declared for the operation (`requireScopes`).
 *
 * @throws RequestError `forbidden` (403) with the challenge that lets a client ask for more scopes
 * @see RFC 6750, section 3.1; MCP 2025-11-25, Authorization, Scope Challenge Handling
 */
export async function requireDeclaredScopes(
  resolve: ScopeChallengeHandler,
  request: JSONRPCRequest,
  authInfo: AuthInfo,
): Promise<void> {
  const challenge = await resolve({ request, authInfo });
  if (challenge === undefined) return;
  const scopes = challenge.scopes.filter((scope) => scopeToken.test(scope));
  const description = (challenge.errorDescription ?? 'Insufficient scope').replaceAll(
    outsideDescription,
    ' ',
  );
  const metadata = authInfo.resourceMetadataUrl;
  throw new RequestError('forbidden', description, {
    headers: {
      'WWW-Authenticate':
        `Bearer error="insufficient_scope", error_description="${description}", scope="${scopes.join(' ')}"` +
        (metadata === undefined ? '' : `, resource_metadata="${metadata}"`),
    },
  });
}
