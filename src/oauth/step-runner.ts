/**
 * Opens the step of an interaction that is due, for the one browser that it belongs to (the engine's cookie), and tells its
 * own forms from others' (a sealed token in them).
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Interaction, Provider } from 'oidc-provider';
import { type FullReply, type HttpRequest, toHeader } from '../http/messages.ts';
import type { SealedBox } from '../mcp/sealed-box.ts';
import type { Step } from './interaction-step.ts';
import { toPageReply } from './pages/html.ts';
import { type Page, renderProblemPage, type ShownClient } from './pages/interaction-pages.ts';
import { isLoopbackRedirect, toRedirectName } from './redirect-uris.ts';
import { runListener } from './run-listener.ts';

/** What opening a step depends on. */
export interface StepRunnerOptions {
  readonly getProvider: () => Promise<Provider>;
  readonly publicUrl: URL;
  readonly serverName: string;
  /** Every scope of the server, and what it allows in words. */
  readonly scopes: ReadonlyMap<string, string | undefined>;
  readonly box: SealedBox;
}

/** Opens steps. */
export interface StepRunner {
  /** Opens the interaction of this browser, and answers with what the step makes of it; a page when it has none. */
  run(request: HttpRequest, take: (step: Step) => Promise<void>): Promise<FullReply>;
  /** Whether a form is from our own page for this step. */
  isOwnForm(request: HttpRequest, step: Step, fields: URLSearchParams): boolean;
}

/** Of a redirect from or to an address that may hold a code. */
export const carryingHeaders = { 'Cache-Control': 'no-store', 'Referrer-Policy': 'no-referrer' };
const formTtlSeconds = 3600;

/** Path of an interaction's page. */
export function toInteractionPath(uid: string): string {
  return `/oauth/interaction/${uid}`;
}

/** For one authorization server. */
export function createStepRunner(options: StepRunnerOptions): StepRunner {
  const { publicUrl, serverName, box } = options;
  return {
    run,
    isOwnForm: (request, { interaction: { uid, prompt } }, fields) => {
      const origin = toHeader(request.headers, 'origin');
      if (origin !== undefined && origin !== publicUrl.origin) return false;
      return box.open(fields.get('token') ?? '', toFormBinding(uid)) === prompt.name;
    },
  };

  async function run(request: HttpRequest, take: (step: Step) => Promise<void>): Promise<FullReply> {
    const provider = await options.getProvider();
    let page: FullReply | undefined;
    let failure: Error | undefined;
    const reply = await runListener(
      (incoming, outgoing) => {
        openStep(provider, request, incoming, outgoing)
          .then(async (step) => {
            if (step === undefined) page = toPageReply(400, expiredPage);
            else await take({ ...step, show: (status, shown) => void (page = toPageReply(status, shown)) });
          })
          .catch((error: unknown) => {
            failure = error instanceof Error ? error : new Error(String(error));
          })
          .finally(() => outgoing.end());
      },
      request,
      { publicUrl },
    );
    if (failure instanceof Error) throw failure;
    return page ?? reply;
  }

  async function openStep(
    provider: Provider,
    request: HttpRequest,
    incoming: IncomingMessage,
    outgoing: ServerResponse,
  ): Promise<Omit<Step, 'show'> | undefined> {
    const interaction = await findInteraction(provider, incoming, outgoing);
    if (interaction === undefined || interaction.uid !== request.parameters['uid']) return undefined;
    const { uid, params, prompt } = interaction;
    const requested = toRequested(interaction);
    const send = (url: string): void => {
      outgoing.writeHead(303, { Location: url, ...carryingHeaders });
    };
    const client = await provider.Client.find(String(params['client_id']));
    if (client === undefined) return undefined;
    return {
      provider,
      interaction,
      serverName,
      client: toShownClient(client, String(params['redirect_uri'])),
      requested,
      scopes: requested.resource.map((scope) => ({ scope, description: options.scopes.get(scope) })),
      form: {
        action: toInteractionPath(uid),
        token: box.seal(prompt.name, { ...toFormBinding(uid), ttlSeconds: formTtlSeconds }),
      },
      finish: async (result) => {
        const returnTo = await provider.interactionResult(incoming, outgoing, result, {
          mergeWithLastSubmission: result.consent !== undefined,
        });
        // The interaction is of the account that was signed in until here.
        await leaveOtherAccount(provider, interaction, result.login?.accountId);
        send(returnTo);
      },
      send,
      restart: () => {
        send(toRestart(params));
      },
    };
  }

  function toRequested({ params: { scope } }: Interaction): Step['requested'] {
    const requested = typeof scope === 'string' ? scope.split(' ') : [];
    return {
      openid: requested.filter((each) => each === 'openid' || each === 'offline_access'),
      resource: requested.filter((each) => options.scopes.has(each)),
    };
  }
}

/**
 * Signs out who was signed in, when somebody else signs in now: the engine would send the browser to its page for signing
 * out, which is not offered here.
 */
async function leaveOtherAccount(
  provider: Provider,
  { session }: Interaction,
  accountId: string | undefined,
): Promise<void> {
  if (accountId === undefined || session === undefined) return;
  const known = await provider.Session.findByUid(session.uid);
  if (known?.accountId === undefined || known.accountId === accountId) return;
  known.accountId = undefined;
  // What the other allowed is not this one's.
  known.authorizations = undefined;
  await known.persist();
}

/** The request that the interaction is for, once more. */
function toRestart(params: Interaction['params']): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    for (const each of [value].flat()) {
      if (typeof each === 'string' || typeof each === 'number') query.append(name, String(each));
    }
  }
  query.set('prompt', 'login');
  return `/oauth/authorize?${query.toString()}`;
}

async function findInteraction(
  provider: Provider,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<Interaction | undefined> {
  try {
    return await provider.interactionDetails(incoming, outgoing);
  } catch (error) {
    // No cookie, another browser's, or an interaction that is over.
    if (error instanceof Error && error.name === 'SessionNotFound') return undefined;
    throw error;
  }
}

function toShownClient(
  client: { readonly clientId: string; readonly clientName?: string | undefined },
  redirectUri: string,
): ShownClient {
  const isDocument = client.clientId.startsWith('https://');
  return {
    name: client.clientName ?? 'A client without a name',
    redirectName: toRedirectName(redirectUri),
    isLoopback: isLoopbackRedirect(redirectUri),
    documentHost: isDocument ? new URL(client.clientId).host : undefined,
  };
}

function toFormBinding(uid: string): { readonly purpose: string; readonly boundTo: string } {
  return { purpose: 'oauth-form', boundTo: uid };
}

/** Where a browser has no step to go on with. */
export const expiredPage: Page = renderProblemPage(
  'This page is no longer valid',
  'It has expired, was used before, or belongs to another browser.',
  'Go back to the application that sent you here and connect again.',
);
