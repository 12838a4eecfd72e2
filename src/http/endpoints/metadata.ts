import type { RouteHandler } from '../routes.ts';
import { toJsonReply } from '../messages.ts';

const wellKnown = '/.well-known/oauth-protected-resource';
const maxAgeSeconds = 3600;

/** The MCP endpoint's own URL, which names it as a protected resource. */
export function toResourceUrl(publicUrl: string): string {
  return `${publicUrl.replace(/\/+$/, '')}/mcp`;
}

/** Where the resource's metadata is: the well-known part goes between host and path. RFC 9728, section 3.1. */
export function toResourceMetadataPath(publicUrl: string): string {
  return wellKnown + new URL(toResourceUrl(publicUrl)).pathname;
}

/** The absolute URL of the resource's metadata, for challenges. */
export function toResourceMetadataUrl(publicUrl: string): string {
  return new URL(toResourceMetadataPath(publicUrl), publicUrl).href;
}

/**
 * Answers with the protected resource metadata. Built from the configured public URL, never from the request, which
 * could name any host.
 *
 * @param options.publicUrl absolute
 * @param options.resourceName for people
 * @see RFC 9728, sections 2 and 3.2; MCP 2026-07-28, Authorization, Protected Resource Metadata
 */
export function createMetadataHandler(options: {
  readonly publicUrl: string;
  readonly resourceName: string;
  /** Issuers that a client can get an access token of. Default: none, clients come with an API key. */
  readonly authorizationServers?: readonly string[];
  /** The least that makes the server usable: clients tend to ask for all that is listed. Default: none. */
  readonly baseScopes?: readonly string[];
  /** Signatures that proofs of possession may have. Default: none are taken. */
  readonly dpopAlgorithms?: readonly string[];
}): RouteHandler {
  const { authorizationServers = [], baseScopes = [], dpopAlgorithms = [] } = options;
  const reply = toJsonReply(
    200,
    {
      resource: toResourceUrl(options.publicUrl),
      resource_name: options.resourceName,
      bearer_methods_supported: ['header'],
      // Only where there is one: an issuer named here sends clients into its sign-in.
      ...(authorizationServers.length > 0 && {
        authorization_servers: authorizationServers,
        ...(dpopAlgorithms.length > 0 && { dpop_signing_alg_values_supported: dpopAlgorithms }),
      }),
      ...(baseScopes.length > 0 && { scopes_supported: baseScopes }),
    },
    { 'Cache-Control': `public, max-age=${maxAgeSeconds}` },
  );
  return () => reply;
}
