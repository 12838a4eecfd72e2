/**
 * Who may manage keys, and how strong a key may be. Not checked here: whether the caller's credential is still
 * valid, which authentication did, and what a key's scopes open, which is policy.
 */
import { RequestError } from '../errors.ts';
import type { ApiKey } from './api-key.ts';
import type { Principal, Role } from './principal.ts';
import { areScopesCovered, isScopeCovered } from './scope-cover.ts';

/** The scope that lets a key of any role but `merchant` manage the keys of its tenants. */
export const manageKeysScope = 'keys:manage';

/** What a key can do: the part of it that must not exceed its creator. */
export type KeyStrength = Pick<ApiKey, 'tenantId' | 'scopes' | 'role' | 'isActive' | 'expiresAt'>;

const roleRanks: ReadonlyMap<Role, number> = new Map([
  ['platform_operator', 3],
  ['tenant_developer', 2],
  ['merchant', 1],
]);

/** Whether the holder of one role may grant another. An application's own role ranks nowhere: only itself grants it. */
export function isRoleCovered(role: Role, by: Role): boolean {
  if (role === by || by === 'platform_operator') return true;
  const rank = roleRanks.get(role);
  const grantor = roleRanks.get(by);
  return rank !== undefined && grantor !== undefined && rank <= grantor;
}

/**
 * Whether a tenant's keys are the caller's business.
 *
 * @throws RequestError `not_found` (404): another's tenant, as if it did not exist
 * @throws RequestError `forbidden` (403): its own tenant, without the right
 */
export function assertMayManage(principal: Principal, tenantId: string, notFoundMessage: string): void {
  if (principal.role === 'platform_operator') return;
  if (!principal.tenantIds.includes(tenantId)) throw new RequestError('not_found', notFoundMessage);
  if (principal.role === 'tenant_developer') return;
  if (principal.role !== 'merchant' && isScopeCovered(manageKeysScope, principal.scopes)) return;
  throw new RequestError(
    'forbidden',
    `Managing API keys needs the role tenant_developer or the scope ${manageKeysScope}`,
  );
}

/**
 * A key never does more than the one who made it.
 *
 * @throws RequestError `forbidden` (403): names what is too much
 */
export function assertNotStronger(key: KeyStrength, creator: Principal): void {
  if (creator.role !== 'platform_operator' && !creator.tenantIds.includes(key.tenantId)) {
    throw new RequestError('forbidden', 'A key cannot be made for a tenant its creator does not belong to');
  }
  if (!isRoleCovered(key.role, creator.role)) {
    throw new RequestError(
      'forbidden',
      `The role ${key.role} is above that of the key's creator, ${creator.role}`,
    );
  }
  if (!areScopesCovered(key.scopes, creator.scopes)) {
    const excess = key.scopes.filter((scope) => !isScopeCovered(scope, creator.scopes));
    throw new RequestError(
      'forbidden',
      `These scopes are more than the key's creator has: ${excess.join(' ')}`,
    );
  }
  if (isLater(key.expiresAt, creator.expiresAt)) {
    throw new RequestError(
      'forbidden',
      'The key would outlive the credential that makes it: set an earlier expiresAt',
    );
  }
}

/**
 * Whether a change lets a key do anything it could not do before. Then the whole result must not be stronger than
 * who changes it: a new scope for a key of a higher role would be one that the changer cannot make.
 */
export function isRaised(after: KeyStrength, before: KeyStrength): boolean {
  return (
    (after.isActive && !before.isActive) ||
    !isRoleCovered(after.role, before.role) ||
    !areScopesCovered(after.scopes, before.scopes) ||
    isLater(after.expiresAt, before.expiresAt)
  );
}

function isLater(expiresAt: number | undefined, than: number | undefined): boolean {
  if (than === undefined) return false;
  return expiresAt === undefined || expiresAt > than;
}
