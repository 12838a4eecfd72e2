import type { User, UserStore } from '../auth/users/user-store.ts';
import type { SignInMethod } from './interaction-step.ts';
import { renderSignIn } from './pages/interaction-pages.ts';

/** How a name and a password are judged. */
export interface LocalSignInOptions {
  readonly users: UserStore;
  /** Whether a password is the one that was hashed. Takes as long for a wrong one, and for no hash at all. */
  readonly isPassword: (password: string, hash: string | undefined) => Promise<boolean>;
  /** Whether another attempt may be made. The key is the name that was typed; see also `address-limits.ts`. */
  readonly takeAttempt: (key: string) => Promise<boolean>;
}

/** What came of an attempt. */
type SignInOutcome =
  | { readonly kind: 'signed-in'; readonly user: User }
  /** Unknown, inactive, or the wrong password: nobody is told which. */
  | { readonly kind: 'refused' }
  | { readonly kind: 'too-many' };

/** Signing in with a name and a password of this host. */
export function createLocalSignIn(options: LocalSignInOptions): SignInMethod {
  return {
    show: (step) => {
      const { form, serverName, client } = step;
      step.show(200, renderSignIn({ ...form, serverName, client }));
      return Promise.resolve();
    },
    take: async (step, fields) => {
      const name = fields.get('name') ?? '';
      const outcome = await signInLocally({ name, password: fields.get('password') ?? '' }, options);
      if (outcome.kind === 'signed-in') {
        await step.finish({ login: { accountId: outcome.user.id } });
        return;
      }
      const isTooMany = outcome.kind === 'too-many';
      const problem = isTooMany
        ? 'There were too many attempts. Wait some minutes, then try again.'
        : 'This name and password do not belong together, or the account is not active.';
      const { form, client, serverName } = step;
      step.show(isTooMany ? 429 : 401, renderSignIn({ ...form, serverName, client, name, problem }));
    },
  };
}

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
