import { RequestError } from '../../errors.ts';
import type { Membership, User, UserStore } from '../users/user-store.ts';

/** A user in a tenant, both active. */
export interface ActiveMember {
  readonly user: User;
  readonly membership: Membership;
}

/**
 * What a user is, at this moment.
 *
 * @param tenantId which of the user's tenants; default: the one they joined first
 * @throws RequestError `forbidden` (403) for a user who is unknown, inactive, or has no such active membership; it does
 *   not say which
 */
export async function resolveMember(
  users: UserStore,
  user: User | undefined,
  tenantId?: string,
): Promise<ActiveMember> {
  const memberships = user?.isActive === true ? await users.listMemberships(user.id) : [];
  const membership = memberships.find(
    (each) => each.isActive && (tenantId ?? each.tenantId) === each.tenantId,
  );
  if (user === undefined || membership === undefined) {
    throw new RequestError(
      'forbidden',
      tenantId === undefined
        ? 'This user has no active membership'
        : 'This user has no active membership in the tenant that was asked for',
    );
  }
  return { user, membership };
}
