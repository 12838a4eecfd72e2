/**
 * The steps between a client's request and its answer that a person takes: signing in, and allowing. Every step is of one
 * interaction, which belongs to one browser (the engine's cookie) and to one form (a sealed token in it).
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Interaction, InteractionResults, Provider } from 'oidc-provider';
import { intersectScopes } from '../auth/scope-cover.ts';
import type { TenantStore } from '../auth/tenant-store.ts';
import type { Membership, User, UserStore } from '../auth/users/user-store.ts';
import { type FullReply, type HttpRequest, toHeader } from '../http/messages.ts';
import type { SealedBox } from '../mcp/sealed-box.ts';
import type { GrantTenants } from './grant-tenants.ts';
import type { SignInMethod, Step } from './interaction-step.ts';
import {
  type Page,
  renderConsent,
  renderProblemPage,
  type ShownClient,
  type ShownScope,
} from './pages/interaction-pages.ts';
import { toPageReply } from './pages/html.ts';
import { isLoopbackRedirect, toRedirectName } from './redirect-uris.ts';
import { runListener } from './run-listener.ts';

/** What the steps depend on. */
export interface InteractionOptions {
  readonly getProvider: () => Promise<Provider>;
  readonly publicUrl: URL;
  readonly resource: string;
  readonly serverName: string;
  /** Every scope of the server, and what it allows in words. */
  readonly scopes: ReadonlyMap<string, string | undefined>;
  readonly users: UserStore;
  readonly tenants: TenantStore;
  readonly grantTenants: GrantTenants;
  readonly box: SealedBox;
  readonly signIn: SignInMethod;
}

/** The handlers of an interaction's page. */
export interface Interactions {
  /** Shows the page of the step that is due. */
  show(request: HttpRequest): Promise<FullReply>;
  /** Takes what a person decided on it. */
  decide(request: HttpRequest): Promise<FullReply>;
  /** Takes a browser back from another provider, and sends it to the interaction that it left: its cookie is for that alone. */
  receive(request: HttpRequest): Promise<FullReply>;
  /** Goes on there, with the provider's answer. */
  comeBack(request: HttpRequest): Promise<FullReply>;
}

/** The address that the browser comes from, or goes to, may hold a code. */
const carryingHeaders = { 'Cache-Control': 'no-store', 'Referrer-Policy': 'no-referrer' };
const formTtlSeconds = 3600;
const maxTenants = 100;

/** Path of an interaction's page. */
export function toInteractionPath(uid: string): string {
  return `/oauth/interaction/${uid}`;
}

/** The steps over one authorization server. */
export function createInteractions(options: InteractionOptions): Interactions {
  const { publicUrl, serverName, users, tenants, box, signIn } = options;

  const showStep = async (step: Step): Promise<void> => {
    if (step.interaction.prompt.name === 'login') await signIn.show(step);
    else await showConsent(step);
  };

  const showConsent = async (step: Step, problem?: string): Promise<void> => {
    const { user, memberships } = await loadMember(step.interaction);
    if (user === undefined || memberships.length === 0) {
      step.show(403, toNoMembershipPage(user));
      return;
    }
    step.show(
      problem === undefined ? 200 : 400,
      renderConsent({
        ...step.form,
        serverName,
        client: step.client,
        userName: user.name ?? user.email ?? user.subject,
        tenants: await Promise.all(memberships.map(({ tenantId }) => toShownTenant(tenantId))),
        scopes: step.scopes,
        ...(problem === undefined ? {} : { problem }),
      }),
    );
  };

  const consent = async (step: Step, fields: URLSearchParams): Promise<void> => {
    const { provider, interaction } = step;
    const { user, memberships } = await loadMember(interaction);
    const membership = memberships.find(({ tenantId }) => tenantId === fields.get('tenant'));
    if (user === undefined || membership === undefined) {
      await showConsent(step, 'Choose one of your tenants.');
      return;
    }
    const { openid, resource } = toRequested(interaction);
    const granted = intersectScopes(resource, membership.scopes);
    if (granted.length === 0 && resource.length > 0) {
      await step.finish(toDenied('This user may not do any of what was asked for'));
      return;
    }
    // A new grant each time: one that is changed would change what other installations of the client may do.
    const grant = new provider.Grant({
      accountId: user.id,
      clientId: String(interaction.params['client_id']),
    });
    grant.addOIDCScope(openid.join(' '));
    grant.addResourceScope(options.resource, granted.join(' '));
    const refused = resource.filter((scope) => !granted.includes(scope));
    // Said out loud, or the engine would ask for them again and again.
    if (refused.length > 0) grant.rejectResourceScope(options.resource, refused.join(' '));
    const grantId = await grant.save();
    await options.grantTenants.insert(grantId, membership.tenantId);
    await step.finish({ consent: { grantId } });
  };

  return {
    show: (request) => run(request, showStep),
    decide: (request) =>
      run(request, async (step) => {
        const fields = new URLSearchParams(request.body);
        if (!isOwnForm(request, step.interaction, fields)) {
          step.show(403, foreignFormPage);
          return;
        }
        const decision = fields.get('decision');
        if (decision === 'cancel') await step.finish(toDenied('The user said no'));
        else if (step.interaction.prompt.name === 'login') await signIn.take(step, fields);
        else await consent(step, fields);
      }),
    receive: async ({ query }) => {
      const uid = await signIn.findInteraction?.(new URLSearchParams(query));
      if (uid === undefined) return toPageReply(400, expiredPage);
      return {
        kind: 'full',
        status: 303,
        headers: { Location: `${toInteractionPath(uid)}/callback?${query}`, ...carryingHeaders },
        body: '',
      };
    },
    comeBack: (request) =>
      run(request, async (step) => {
        const isDue = step.interaction.prompt.name === 'login';
        if (isDue && signIn.comeBack !== undefined)
          await signIn.comeBack(step, new URLSearchParams(request.query));
        else step.show(400, expiredPage);
      }),
  };

  /** Opens the interaction of this browser, and answers with what the step makes of it. */
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
    const client = await provider.Client.find(String(params['client_id']));
    if (client === undefined) return undefined;
    return {
      provider,
      interaction,
      serverName,
      client: toShownClient(client, String(params['redirect_uri'])),
      scopes: toShownScopes(interaction),
      form: {
        action: toInteractionPath(uid),
        token: box.seal(prompt.name, { ...toFormBinding(uid), ttlSeconds: formTtlSeconds }),
      },
      finish: async (result) => {
        const returnTo = await provider.interactionResult(incoming, outgoing, result, {
          mergeWithLastSubmission: result.consent !== undefined,
        });
        outgoing.writeHead(303, { Location: returnTo, ...carryingHeaders });
      },
      send: (url) => {
        outgoing.writeHead(303, { Location: url, ...carryingHeaders });
      },
    };
  }

  function isOwnForm(request: HttpRequest, { uid, prompt }: Interaction, fields: URLSearchParams): boolean {
    const origin = toHeader(request.headers, 'origin');
    if (origin !== undefined && origin !== publicUrl.origin) return false;
    return box.open(fields.get('token') ?? '', toFormBinding(uid)) === prompt.name;
  }

  async function loadMember(
    interaction: Interaction,
  ): Promise<{ readonly user: User | undefined; readonly memberships: readonly Membership[] }> {
    const accountId = interaction.session?.accountId;
    const user = accountId === undefined ? undefined : await users.findById(accountId);
    if (user?.isActive !== true) return { user: undefined, memberships: [] };
    const memberships = await users.listMemberships(user.id);
    return { user, memberships: memberships.filter(({ isActive }) => isActive).slice(0, maxTenants) };
  }

  async function toShownTenant(id: string): Promise<{ readonly id: string; readonly name: string }> {
    return { id, name: (await tenants.findById(id))?.name ?? id };
  }

  function toRequested({ params }: Interaction): {
    readonly openid: readonly string[];
    readonly resource: readonly string[];
  } {
    const { scope } = params;
    const requested = typeof scope === 'string' ? scope.split(' ') : [];
    return {
      openid: requested.filter((scope) => scope === 'openid' || scope === 'offline_access'),
      resource: requested.filter((scope) => options.scopes.has(scope)),
    };
  }

  function toShownScopes(interaction: Interaction): readonly ShownScope[] {
    return toRequested(interaction).resource.map((scope) => ({
      scope,
      description: options.scopes.get(scope),
    }));
  }
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

function toDenied(description: string): InteractionResults {
  return { error: 'access_denied', error_description: description };
}

const expiredPage = renderProblemPage(
  'This page is no longer valid',
  'It has expired, was used before, or belongs to another browser.',
  'Go back to the application that sent you here and connect again.',
);
const foreignFormPage = renderProblemPage(
  'This form cannot be taken',
  'It did not come from our own page, or the page was open for too long.',
  'Go back to the application that sent you here and connect again.',
);

/** Names the account, so that whoever runs the server can find it. */
function toNoMembershipPage(user: User | undefined): Page {
  const whose = user === undefined ? '' : `, and name your account: ${user.id}`;
  return renderProblemPage(
    'You have no access yet',
    'Your account belongs to no tenant of this server, or is not active.',
    `Ask whoever runs this server to give you access${whose}. Then connect again.`,
  );
}
