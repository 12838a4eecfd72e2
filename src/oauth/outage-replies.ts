/**
 * What is answered while something that the authorization server needs is out of reach: to programs an error that makes
 * them wait, to people a page.
 *
 * The words count. Told anything else than `temporarily_unavailable`, 503 or not, the SDK's clients take their refresh
 * token for lost and send their user to sign in again.
 */
import { UpstreamError } from '../errors.ts';
import type { FullReply, HttpReply } from '../http/messages.ts';
import type { RouteHandler } from '../http/routes.ts';
import { type OauthEndpoints, toOauthError } from './oauth-endpoints.ts';
import { toPageReply } from './pages/html.ts';
import { renderProblemPage } from './pages/interaction-pages.ts';

/** The same endpoints. @param onError told of each outage that a request met */
export function answerOutages(endpoints: OauthEndpoints, onError: (error: unknown) => void): OauthEndpoints {
  const { authorize, resume, interaction, callback } = endpoints;
  const wrap =
    (answer: FullReply) =>
    (handler: RouteHandler): RouteHandler =>
    async (request): Promise<HttpReply> => {
      try {
        return await handler(request);
      } catch (error) {
        if (!(error instanceof UpstreamError)) throw error;
        onError(error);
        return {
          ...answer,
          headers: { ...answer.headers, 'Retry-After': String(error.retryAfterSeconds) },
          log: { error: 'unavailable', upstream: error.upstream },
        };
      }
    };
  const forProgram = wrap(toOauthError(503, 'temporarily_unavailable', 'try again in a moment'));
  const forPerson = wrap(toPageReply(503, outagePage));
  return {
    token: forProgram(endpoints.token),
    register: forProgram(endpoints.register),
    revoke: forProgram(endpoints.revoke),
    jwks: forProgram(endpoints.jwks),
    metadata: forProgram(endpoints.metadata),
    authorize: forPerson(authorize),
    resume: forPerson(resume),
    callback: forPerson(callback),
    interaction: {
      show: forPerson(interaction.show),
      decide: forPerson(interaction.decide),
      comeBack: forPerson(interaction.comeBack),
    },
  };
}

const outagePage = renderProblemPage(
  'This server cannot answer at the moment',
  'Something that it needs is out of reach.',
  'Wait a moment, then load this page again.',
);
