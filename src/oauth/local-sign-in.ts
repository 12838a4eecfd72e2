import type { User, UserStore } from '../auth/users/user-store.ts';

/** How a name and a password are judged. */
export interface LocalSignInOptions {
  readonly users: UserStore;
  /** Whether a password is the one that was hashed. Takes as long for a wrong one, and for no hash at all. */
  readonly isPassword: (password: string, hash: string | undefined) => Promise<boolean>;
  /** Whether another attempt may be made. The key is the name that was typed; see also `address-limits.ts`. */
  readonly takeAttempt: (key: string) => Promise<boolean>;
}

/** What came of an attempt. */
export type SignInOutcome =
  | { readonly kind: 'signed-in'; readonly user: User }
  /** Unknown, inactive, or the wrong password: nobody is told which. */
  | { readonly kind: 'refused' }
  | { readonly kind: 'too-many' };

/** Judges an attempt to sign in with a local account. @throws UpstreamError when a store cannot be reached */
export async function signInLocally(
  { name, password }: { readonly name: string; readonly password: string },
  { users, isPassword, takeAttempt }: LocalSignInOptions,
): Promise<SignInOutcome> {
  // Nobody's, and no attempt: where it came from was not counted.
  if (password === '') return { kind: 'refused' };
  const subject = name.trim().toLowerCase();
  if (!(await takeAttempt(`name:${subject}`))) return { kind: 'too-many' };
  const user = await users.findByIdentity('local', subject);
  const hash = user === undefined ? undefined : await users.loadPasswordHash(user.id);
  const isRight = await isPassword(password, hash);
  return isRight && user?.isActive === true ? { kind: 'signed-in', user } : { kind: 'refused' };
}
