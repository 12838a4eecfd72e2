import { randomUUID } from 'node:crypto';
import type { TenantStore } from '../tenant-store.ts';
import { hashPassword } from './password.ts';
import { createPassword, localIssuer } from './user-service.ts';
import type { User, UserStore } from './user-store.ts';

/** The account that a first run made. */
export interface FirstUser {
  readonly user: User;
  /** Seen only now. */
  readonly password: string;
}

const firstName = 'admin';

/**
 * Makes signing in possible where there is no user at all: an account named `admin` that may do everything in the oldest
 * tenant.
 *
 * @returns what was made, or `undefined` when there was a user or no tenant. Of several processes that start at once, one
 *   makes it
 */
export async function ensureFirstUser(
  users: UserStore,
  tenants: TenantStore,
  now: () => number = Date.now,
): Promise<FirstUser | undefined> {
  if ((await users.list(1)).length > 0) return undefined;
  const [tenant] = await tenants.list(1);
  if (tenant === undefined) return undefined;
  const password = createPassword();
  const user: User = {
    id: randomUUID(),
    issuer: localIssuer,
    subject: firstName,
    isActive: true,
    createdAt: now(),
  };
  if (!(await users.insert(user, await hashPassword(password)))) return undefined;
  await users.setMembership({
    userId: user.id,
    tenantId: tenant.id,
    role: 'tenant_developer',
    scopes: ['*'],
    isActive: true,
    createdAt: now(),
  });
  return { user, password };
}
