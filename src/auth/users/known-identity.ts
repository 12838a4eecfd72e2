import { randomUUID } from 'node:crypto';
import { UpstreamError } from '../../errors.ts';
import type { VerifiedIdentity } from '../tokens/identity-verifier.ts';
import type { Membership, User, UserStore } from './user-store.ts';

/** What people are from their first sign-in on, without anybody having invited them. */
export type Newcomers = Pick<Membership, 'tenantId' | 'role' | 'scopes'>;

/**
 * The user that a provider vouches for: the one with its issuer and subject, and nobody else, whatever their e-mail address.
 * Name and address follow what the provider says.
 *
 * @param options.newcomers what a user who is new is in a tenant. Default: in none
 * @throws UpstreamError when the store cannot be reached, or has no such tenant
 */
export async function findOrAddUser(
  users: UserStore,
  { issuer, subject, name, email }: VerifiedIdentity,
  { now, newcomers }: { readonly now: number; readonly newcomers?: Newcomers },
): Promise<User> {
  const told = { ...(name !== undefined && { name }), ...(email !== undefined && { email }) };
  const known = await users.findByIdentity(issuer, subject);
  if (known === undefined) {
    const added: User = { id: randomUUID(), issuer, subject, ...told, isActive: true, createdAt: now };
    // At once: whoever was known without it would be no newcomer the next time.
    const membership = newcomers && { ...newcomers, isActive: true, createdAt: now };
    if (await users.insert(added, undefined, membership)) return added;
  }
  // Somebody who signs in twice at once may have been added meanwhile.
  const user = known ?? (await users.findByIdentity(issuer, subject));
  if (user === undefined) throw new UpstreamError('database', 'a user who is neither there nor can be added');
  const isSame = (name ?? user.name) === user.name && (email ?? user.email) === user.email;
  return isSame ? user : ((await users.update(user.id, told)) ?? user);
}
