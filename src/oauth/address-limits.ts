/** How often one address may ask the authorization server for what it gives to anybody, or fail at the rest. */
import { limitAttempts, limitedDetail, limitFailures, tokenFailures } from '../http/limit-by-address.ts';
import type { FullReply, HttpReply, HttpRequest } from '../http/messages.ts';
import type { Limits } from '../policy/limits.ts';
import { tokenExchangeGrant } from './grants/token-exchange-grant.ts';
import { type OauthEndpoints, toOauthError } from './oauth-endpoints.ts';
import { toPageReply } from './pages/html.ts';
import { renderProblemPage } from './pages/interaction-pages.ts';

/** Beside the limit for each name, which stops nobody who tries one password with many names. */
const signIns = { capacity: 100, windowMs: 300_000 };
/** A client that runs elsewhere registers for all its users from a few addresses. */
const registrations = { capacity: 600, windowMs: 300_000 };

/** Each is remembered for an hour, before anybody has shown who they are. */
const authorizations = { capacity: 600, windowMs: 300_000 };
/** Two for each of these: one may send a browser to another provider, which is remembered, too, any number of times. */
const decisions = { capacity: 1200, windowMs: 300_000 };

/** The same endpoints, limited. */
export function limitOauthEndpoints(endpoints: OauthEndpoints, limits: Limits): OauthEndpoints {
  const { authorize, register, token, interaction } = endpoints;
  return {
    ...endpoints,
    authorize: limitAttempts(authorize, {
      limits,
      what: 'authorization-address',
      limit: authorizations,
      refuse: refusePerson,
    }),
    register: limitAttempts(register, {
      limits,
      what: 'registration-address',
      limit: registrations,
      refuse: refuseProgram,
    }),
    token: limitFailures(token, {
      ...tokenFailures,
      limits,
      isFailure: isTokenFailure,
      refuse: refuseProgram,
    }),
    interaction: {
      ...interaction,
      decide: limitAttempts(
        limitAttempts(interaction.decide, {
          limits,
          what: 'decision-address',
          limit: decisions,
          isAttempt: isDecision,
          refuse: refusePerson,
        }),
        { limits, what: 'sign-in-address', limit: signIns, isAttempt: isSignIn, refuse: refusePerson },
      ),
    },
  };
}

/** A form with a password in it: without one nobody is signed in, and nothing is hashed. */
function isSignIn({ body }: HttpRequest): boolean {
  const fields = new URLSearchParams(body);
  return (fields.get('password') ?? '') !== '' && fields.get('decision') !== 'cancel';
}

/** Any other form by which a step goes on: whatever is in it, for who signs in elsewhere. */
function isDecision(request: HttpRequest): boolean {
  const decision = new URLSearchParams(request.body).get('decision');
  return !isSignIn(request) && decision !== 'cancel' && decision !== 'switch';
}

/** A client, a code or a token that is not good; not what is only malformed. */
function isTokenFailure({ body }: HttpRequest, reply: HttpReply): boolean {
  if (reply.kind !== 'full' || (reply.status !== 400 && reply.status !== 401)) return false;
  const error = readError(reply);
  if (error === 'invalid_client' || error === 'invalid_grant') return true;
  // RFC 8693, section 2.2.2: this is what a subject token is called that is not good.
  return error === 'invalid_request' && new URLSearchParams(body).get('grant_type') === tokenExchangeGrant;
}

function readError({ body }: FullReply): unknown {
  try {
    return (JSON.parse(body) as { readonly error?: unknown } | null)?.error;
  } catch {
    return undefined;
  }
}

/** The code that exchanging too often has, too; SDKs know it, and keep their tokens. */
function refuseProgram(retryAfterSeconds: number): FullReply {
  const description = 'there were too many of these requests from this address';
  return toRefusal(toOauthError(429, 'temporarily_unavailable', description), retryAfterSeconds);
}

function refusePerson(retryAfterSeconds: number): FullReply {
  return toRefusal(toPageReply(429, tooManyPage), retryAfterSeconds);
}

function toRefusal(reply: FullReply, retryAfterSeconds: number): FullReply {
  return {
    ...reply,
    headers: { ...reply.headers, 'Retry-After': String(retryAfterSeconds) },
    log: { error: 'rate_limited', detail: limitedDetail },
  };
}

const tooManyPage = renderProblemPage(
  'Too many attempts',
  'There were too many attempts to sign in from your network.',
  'Wait some minutes, go back in your browser, then try again.',
);
