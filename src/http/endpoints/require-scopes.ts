import { areScopesCovered } from '../../auth/scope-cover.ts';
import type { Principal } from '../../auth/principal.ts';
import { RequestError } from '../../errors.ts';
import type { ScopeRules } from '../../mcp/scope-rules.ts';
import type { JsonRpcRequest } from '../../mcp/protocol-types.ts';

const noParams: Readonly<Record<string, unknown>> = {};

/** Whose requests are judged, and by what. */
export interface ScopeCheck {
  readonly rules: ScopeRules | undefined;
  readonly principal: Principal;
  readonly isModern: boolean;
}

/**
 * Lets requests pass whose caller has every scope that they need, in one judgement however many there are.
 *
 * @throws RequestError `insufficient_scope` (403). Its challenge names what is needed; to clients of the 2025 revisions
 *   also what they have, as they replace the scopes that they ask for instead of adding to them
 * @see MCP 2026-07-28, Authorization, Runtime Insufficient Scope Errors, and Step-Up Authorization Flow: a broader
 *   scope MUST count for the narrower ones that it implies
 */
export function requireScopes(
  requests: readonly Pick<JsonRpcRequest, 'method' | 'params'>[],
  { rules, principal, isModern }: ScopeCheck,
): void {
  if (rules === undefined) return;
  const needed = new Set<string>();
  for (const { method, params = noParams } of requests) {
    const scopes = rules.toNeeded({ method, params });
    if (areScopesCovered(scopes, principal.scopes)) continue;
    for (const scope of scopes) needed.add(scope);
  }
  if (needed.size === 0) return;
  const scopes = [...(isModern ? needed : new Set([...principal.scopes, ...needed]))];
  throw new RequestError('insufficient_scope', `This needs the scope ${[...needed].join(' ')}`, { scopes });
}
