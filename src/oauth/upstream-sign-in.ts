/**
 * Signing in at another provider (bridge mode). The person first sees, on our own page, which client asks and where its
 * answer goes, and only what they answer there sends them on: the other provider knows this host alone, and would let any
 * client through that hides behind it.
 *
 * @see MCP 2026-07-28, Security Considerations, Confused Deputy
 */
import type { VerifiedIdentity } from '../auth/tokens/identity-verifier.ts';
import { findOrAddUser, type Newcomers } from '../auth/users/known-identity.ts';
import type { UserStore } from '../auth/users/user-store.ts';
import { RequestError, UpstreamError } from '../errors.ts';
import type { SignInMethod, Step } from './interaction-step.ts';
import { renderProblemPage, renderUpstreamSignIn } from './pages/interaction-pages.ts';
import type { UpstreamAttempts } from './upstream-attempts.ts';
import type { UpstreamProvider } from './upstream-provider.ts';

/** What signing in there depends on. */
export interface UpstreamSignInOptions {
  readonly provider: UpstreamProvider;
  readonly attempts: UpstreamAttempts;
  readonly users: UserStore;
  /** What somebody is who was never here. Default: a user without a tenant, who may do nothing yet. */
  readonly newcomers?: Newcomers;
  /** Told of failures that the person sees only as a page. */
  readonly onError: (error: unknown) => void;
  readonly now: () => number;
}

/** The method for one provider. */
export function createUpstreamSignIn(options: UpstreamSignInOptions): SignInMethod {
  const { provider, attempts, users, newcomers, now } = options;
  const { name: providerName } = provider;

  /** A page in place of a failure: whoever reads it is no program. */
  const showFailure = (step: Step, error: unknown): void => {
    if (!(error instanceof UpstreamError) && !(error instanceof RequestError)) throw error;
    const isAway = error instanceof UpstreamError;
    if (isAway) options.onError(error);
    step.show(isAway ? 503 : 401, {
      ...renderProblemPage(
        isAway ? `${providerName} does not answer as it should` : `${providerName} did not sign you in`,
        isAway
          ? 'That is where you sign in for this server. It cannot be reached, or it refuses this server.'
          : 'Its answer does not hold: it may have taken too long, or may have been used before.',
        `${isAway ? 'Wait a moment, then try' : 'Try'} again. If it happens again, tell whoever runs this server.`,
        { href: step.form.action, label: 'Try again' },
      ),
      ...(!isAway && { log: { error: error.code, detail: error.detail } }),
    });
  };

  const finishAs = async (step: Step, identity: VerifiedIdentity): Promise<void> => {
    const user = await findOrAddUser(users, identity, {
      now: now(),
      ...(newcomers !== undefined && { newcomers }),
    });
    if (user.isActive) await step.finish({ login: { accountId: user.id } });
    else step.show(403, inactivePage);
  };

  return {
    show: (step) => {
      const { form, serverName, client, scopes } = step;
      step.show(200, renderUpstreamSignIn({ ...form, serverName, client, scopes, providerName }));
      return Promise.resolve();
    },
    take: async (step) => {
      const { uid, params } = step.interaction;
      const prompts = typeof params['prompt'] === 'string' ? params['prompt'].split(' ') : [];
      // The client is told when the person signed in: now, and not whenever they last did so there.
      const isAnew = prompts.includes('login') || params['max_age'] !== undefined;
      const secrets = await attempts.begin(uid);
      try {
        step.send(await provider.toUrl(secrets, isAnew));
      } catch (error) {
        showFailure(step, error);
      }
    },
    findInteraction: (answer) => attempts.findInteraction(answer.get('state') ?? ''),
    comeBack: async (step, answer) => {
      const attempt = await attempts.take(answer.get('state') ?? '');
      if (attempt?.uid !== step.interaction.uid) {
        showFailure(
          step,
          new RequestError('invalid_token', 'The answer does not hold', {
            detail: 'of no sign-in that waits',
          }),
        );
        return;
      }
      let identity: VerifiedIdentity;
      try {
        identity = await provider.redeem(answer, attempt.secrets);
      } catch (error) {
        if (error instanceof RequestError && error.code === 'forbidden')
          await step.finish({ error: 'access_denied', error_description: 'The user did not sign in' });
        else showFailure(step, error);
        return;
      }
      await finishAs(step, identity);
    },
  };
}

const inactivePage = renderProblemPage(
  'Your account is not active',
  'Whoever runs this server has switched it off.',
  'Ask them to let you in again, then connect again.',
);
