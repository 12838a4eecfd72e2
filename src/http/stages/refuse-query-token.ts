import { RequestError } from '../../errors.ts';
import type { Stage } from '../stage.ts';

/**
 * Names under which clients put credentials into a URL. No route has a parameter of these names, so that any use is
 * a mistake worth telling: URLs end up in logs and histories.
 */
const credentialNames: ReadonlySet<string> = new Set([
  'access_token',
  'token',
  'api_key',
  'api-key',
  'apikey',
  'key',
]);
/** Enough for every parameter of every route; what follows is not looked at by routes either. */
const maxParameters = 64;

/**
 * Refuses credentials in the query string, valid ones included.
 *
 * @see MCP 2026-07-28, Authorization, Access Token Usage: tokens MUST NOT be in the URI query string
 */
export const refuseQueryToken: Stage = (exchange) => {
  if (exchange.query === '') return undefined;
  for (const pair of exchange.query.split('&', maxParameters + 1)) {
    const name = decodeName(pair.split('=', 1)[0] ?? '');
    if (!credentialNames.has(name)) continue;
    throw new RequestError(
      'token_in_query',
      `Credentials are not accepted in the URL (\`${name}\`). Send them in the header: Authorization: Bearer <token>.`,
    );
  }
  return undefined;
};

function decodeName(name: string): string {
  try {
    return decodeURIComponent(name).toLowerCase();
  } catch {
    return '';
  }
}
