/** The step in which a person allows a client to act for them, in one of their tenants. */
import type { Interaction, InteractionResults } from 'oidc-provider';
import { intersectScopes } from '../auth/scope-cover.ts';
import type { TenantStore } from '../auth/tenant-store.ts';
import type { Membership, User, UserStore } from '../auth/users/user-store.ts';
import type { GrantTenants } from './grant-tenants.ts';
import type { Step } from './interaction-step.ts';
import {
  renderConsent,
  renderNoAccess,
  renderProblemPage,
  type ShownScope,
} from './pages/interaction-pages.ts';

/** What the step depends on. */
export interface ConsentOptions {
  /** Canonical URI of the MCP endpoint. */
  readonly resource: string;
  readonly users: UserStore;
  readonly tenants: TenantStore;
  readonly grantTenants: GrantTenants;
  /** Every scope of the server, and what it allows in words. */
  readonly scopes: ReadonlyMap<string, string | undefined>;
}

/** Asking, and taking the answer. */
export interface ConsentStep {
  show(step: Step): Promise<void>;
  /** Takes an answer that is not a no. */
  take(step: Step, fields: URLSearchParams): Promise<void>;
}

const maxTenants = 100;

/** The step over one authorization server. */
export function createConsentStep(options: ConsentOptions): ConsentStep {
  const { resource, users, tenants, grantTenants } = options;

  const showConsent = async (step: Step, problem?: string): Promise<void> => {
    const { user, memberships } = await loadMember(step.interaction);
    if (user === undefined) {
      step.show(403, inactivePage);
      return;
    }
    const userName = user.name ?? user.email ?? user.subject;
    if (memberships.length === 0) {
      step.show(403, renderNoAccess({ ...step.form, userName, userId: user.id }));
      return;
    }
    step.show(
      problem === undefined ? 200 : 400,
      renderConsent({
        ...step.form,
        serverName: step.serverName,
        client: step.client,
        userName,
        tenants: await Promise.all(memberships.map(({ tenantId }) => toShownTenant(tenantId))),
        scopes: toPossible(step.requested.resource, memberships),
        ...(problem === undefined ? {} : { problem }),
      }),
    );
  };

  const consent = async (step: Step, fields: URLSearchParams): Promise<void> => {
    const { provider, interaction, requested } = step;
    const { user, memberships } = await loadMember(interaction);
    const membership = memberships.find(({ tenantId }) => tenantId === fields.get('tenant'));
    if (user === undefined || membership === undefined) {
      await showConsent(step, 'Choose one of your tenants.');
      return;
    }
    const { openid, resource: wanted } = requested;
    const granted = intersectScopes(wanted, membership.scopes);
    if (granted.length === 0 && wanted.length > 0) {
      await step.finish(toDenied('This user may not do any of what was asked for'));
      return;
    }
    // A new grant each time: one that is changed would change what other installations of the client may do.
    const grant = new provider.Grant({
      accountId: user.id,
      clientId: String(interaction.params['client_id']),
    });
    grant.addOIDCScope(openid.join(' '));
    grant.addResourceScope(resource, granted.join(' '));
    const refused = wanted.filter((scope) => !granted.includes(scope));
    // Said out loud, or the engine would ask for them again and again.
    if (refused.length > 0) grant.rejectResourceScope(resource, refused.join(' '));
    const grantId = await grant.save();
    await grantTenants.insert(grantId, membership.tenantId);
    await step.finish({ consent: { grantId } });
  };

  return { show: (step) => showConsent(step), take: consent };

  async function loadMember(
    interaction: Interaction,
  ): Promise<{ readonly user: User | undefined; readonly memberships: readonly Membership[] }> {
    const accountId = interaction.session?.accountId;
    const user = accountId === undefined ? undefined : await users.findById(accountId);
    if (user?.isActive !== true) return { user: undefined, memberships: [] };
    const all = (await users.listMemberships(user.id)).filter(({ isActive }) => isActive);
    const before =
      interaction.grantId === undefined ? undefined : await grantTenants.find(interaction.grantId);
    // A client that asks for more is as a rule to go on where it was.
    const memberships = all.toSorted(
      (one, other) => Number(other.tenantId === before) - Number(one.tenantId === before),
    );
    return { user, memberships: memberships.slice(0, maxTenants) };
  }

  /** What was asked for and can be had in one of the tenants at least: to promise more would be idle. */
  function toPossible(wanted: readonly string[], memberships: readonly Membership[]): readonly ShownScope[] {
    const possible = new Set(memberships.flatMap(({ scopes }) => intersectScopes(wanted, scopes)));
    return [...possible].map((scope) => ({ scope, description: options.scopes.get(scope) }));
  }

  async function toShownTenant(id: string): Promise<{ readonly id: string; readonly name: string }> {
    return { id, name: (await tenants.findById(id))?.name ?? id };
  }
}

/** As the client is told of a no. OAuth 2.1, section 4.1.2.1. */
export function toDenied(description: string): InteractionResults {
  return { error: 'access_denied', error_description: description };
}

const inactivePage = renderProblemPage(
  'You have no access',
  'Your account is not active.',
  'Ask whoever runs this server to let you in again, then connect again.',
);
