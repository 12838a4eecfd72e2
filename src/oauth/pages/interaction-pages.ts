/** What a person sees between asking a client to connect and being back at the client. */
import type { LogFields } from '../../http/messages.ts';
import { html, type Html } from './html.ts';

/** A page. */
export interface Page {
  readonly title: string;
  readonly content: Html;
  /** What the log line of the request says of it. */
  readonly log?: LogFields;
}

/** Who asks, as the pages say it. */
export interface ShownClient {
  /** As the client calls itself: nobody has checked it. */
  readonly name: string;
  /** Host, or scheme of an application, to which the answer goes. */
  readonly redirectName: string;
  /** The answer goes to the person's own machine. */
  readonly isLoopback: boolean;
  /** Host of the client's own description, when it is known by one. */
  readonly documentHost: string | undefined;
}

/** Something that a client asks for. */
export interface ShownScope {
  readonly scope: string;
  /** In words; absent where the server's author gave none. */
  readonly description: string | undefined;
}

/** What every form carries. */
export interface FormParts {
  readonly action: string;
  /** Proves that the form came from our page. */
  readonly token: string;
}

/** What the sign-in page shows. */
export interface SignInView extends FormParts {
  readonly serverName: string;
  readonly client: ShownClient;
  /** What was typed before, when it was not accepted. */
  readonly name?: string;
  readonly problem?: string;
}

/** Asks for a local account's name and password. */
export function renderSignIn({ action, token, serverName, client, name, problem }: SignInView): Page {
  const described = problem === undefined ? undefined : html` aria-describedby="problem" aria-invalid="true"`;
  return {
    title: problem === undefined ? `Sign in to ${serverName}` : `Error: sign in to ${serverName}`,
    content: html`<h1>Sign in to ${serverName}</h1>
      <p><strong>${client.name}</strong> wants to use ${serverName} for you. First, sign in.</p>
      ${renderProblem(problem)}
      <form method="post" action="${action}">
        <input type="hidden" name="token" value="${token}" />
        <label for="name">Name</label>
        <input
          id="name"
          name="name"
          type="text"
          autocomplete="username"
          autocapitalize="none"
          spellcheck="false"
          required
          maxlength="256"
          value="${name}"
          ${described}
        />
        <label for="password">Password</label>
        <input
          id="password"
          name="password"
          type="password"
          autocomplete="current-password"
          required
          maxlength="1024"
          ${described}
        />
        <div class="actions">
          <button class="main" name="decision" value="continue">Sign in</button>
          <button name="decision" value="cancel" formnovalidate>Cancel</button>
        </div>
      </form>`,
  };
}

/** What the page shows that comes before another provider's. */
export interface UpstreamSignInView extends FormParts {
  readonly serverName: string;
  readonly client: ShownClient;
  readonly scopes: readonly ShownScope[];
  readonly providerName: string;
}

/** Asks whether to go on to another provider, for this client. */
export function renderUpstreamSignIn(view: UpstreamSignInView): Page {
  const { client, serverName, providerName } = view;
  return {
    title: `Sign in to ${serverName}`,
    content: html`<h1>Sign in to ${serverName}</h1>
      <p>
        <strong>${client.name}</strong> wants to use ${serverName} for you. You sign in at ${providerName}; it
        is not told which client asks.
      </p>
      ${renderClient(client)} ${renderScopes(view.scopes)}
      <form method="post" action="${view.action}">
        <input type="hidden" name="token" value="${view.token}" />
        ${renderLoopbackNote(client)}
        <div class="actions">
          <button class="main" name="decision" value="continue">Continue to ${providerName}</button>
          <button name="decision" value="cancel">Cancel</button>
        </div>
      </form>`,
  };
}

/** A tenant that the person may act for. */
export interface ShownTenant {
  readonly id: string;
  readonly name: string;
}

/** What the consent page shows. */
export interface ConsentView extends FormParts {
  readonly serverName: string;
  readonly client: ShownClient;
  readonly userName: string;
  /** At least one; the first is chosen before the person chooses. */
  readonly tenants: readonly ShownTenant[];
  readonly scopes: readonly ShownScope[];
  readonly problem?: string;
}

/** Asks whether a client may have what it asks for. */
export function renderConsent(view: ConsentView): Page {
  const { client, serverName, tenants } = view;
  const [first] = tenants;
  return {
    title: `Allow ${client.name} to use ${serverName}?`,
    content: html`<h1>Allow ${client.name} to use ${serverName}?</h1>
      <p>You are signed in as <strong>${view.userName}</strong>.</p>
      ${renderProblem(view.problem)} ${renderClient(client)}
      <form method="post" action="${view.action}">
        <input type="hidden" name="token" value="${view.token}" />
        ${
          tenants.length === 1
            ? html`<input type="hidden" name="tenant" value="${first?.id}" />
                <dl>
                  <dt>For</dt>
                  <dd>${first?.name}</dd>
                </dl>`
            : renderTenants(tenants)
        }
        ${renderScopes(view.scopes)} ${renderLoopbackNote(client)}
        <p class="small">
          Allow only what you asked for yourself, just now. <strong>${client.name}</strong> is what the client
          calls itself; nobody has checked it.
        </p>
        <div class="actions">
          <button class="main" name="decision" value="allow">Allow</button>
          <button name="decision" value="cancel">Deny</button>
          <button name="decision" value="switch">Sign in as somebody else</button>
        </div>
      </form>`,
  };
}

/** What somebody sees who is signed in and may do nothing. */
export interface NoAccessView extends FormParts {
  readonly userName: string;
  /** Of the account, so that whoever runs the server can find it. */
  readonly userId: string;
}

/** Says whom to ask, and lets the person use another account. */
export function renderNoAccess(view: NoAccessView): Page {
  return {
    title: 'You have no access yet',
    content: html`<h1>You have no access yet</h1>
      <p class="problem" role="alert">
        You are signed in as <strong>${view.userName}</strong>, who belongs to no tenant of this server.
      </p>
      <p>Ask whoever runs this server to give you access, and name your account. Then connect again.</p>
      <dl>
        <dt>Your account</dt>
        <dd>${view.userId}</dd>
      </dl>
      <form method="post" action="${view.action}">
        <input type="hidden" name="token" value="${view.token}" />
        <div class="actions">
          <button name="decision" value="switch">Sign in as somebody else</button>
          <button name="decision" value="cancel">Cancel</button>
        </div>
      </form>`,
  };
}

/** A link, its text told. */
export interface ShownLink {
  readonly href: string;
  readonly label: string;
}

/** Says what went wrong, and what the person can do; the link is where that begins. */
export function renderProblemPage(title: string, problem: string, advice: string, link?: ShownLink): Page {
  return {
    title,
    content: html`<h1>${title}</h1>
      <p class="problem" role="alert">${problem}</p>
      <p>${advice}</p>
      ${link === undefined ? undefined : html`<p><a href="${link.href}">${link.label}</a></p>`}`,
  };
}

function renderClient(client: ShownClient): Html {
  return html`<dl>
    <dt>Client</dt>
    <dd>${client.name}</dd>
    ${
      client.documentHost === undefined
        ? undefined
        : html`<dt>Published by</dt>
            <dd>${client.documentHost}</dd>`
    }
    <dt>The answer goes to</dt>
    <dd>${client.redirectName}</dd>
  </dl>`;
}

function renderScopes(scopes: readonly ShownScope[]): Html {
  if (scopes.length === 0) return html``;
  return html`<h2>It could then</h2>
    <ul>
      ${scopes.map(({ scope, description }) => html`<li>${description ?? scope}${description === undefined ? undefined : html` <span class="small">(${scope})</span>`}</li>`)}
    </ul>`;
}

function renderTenants(tenants: readonly ShownTenant[]): Html {
  return html`<fieldset>
    <legend>For which of your tenants?</legend>
    ${tenants.map(
      ({ id, name }, index) =>
        html`<label
          ><input type="radio" name="tenant" value="${id}" ${index === 0 ? html` checked` : undefined} />
          ${name}</label
        >`,
    )}
  </fieldset>`;
}

function renderLoopbackNote({ isLoopback, name }: ShownClient): Html {
  if (!isLoopback) return html``;
  return html`<p class="note">
    The answer goes to a program on your own machine. Any program there could call itself
    <strong>${name}</strong>: go on only if you started this yourself.
  </p>`;
}

function renderProblem(problem: string | undefined): Html {
  return problem === undefined ? html`` : html`<p class="problem" id="problem" role="alert">${problem}</p>`;
}
