/** One step of an interaction, as the parts that take such steps see it. */
import type { Interaction, InteractionResults, Provider } from 'oidc-provider';
import type { Page, ShownClient, ShownScope } from './pages/interaction-pages.ts';

/** One interaction, in one exchange with one browser. */
export interface Step {
  readonly provider: Provider;
  readonly interaction: Interaction;
  readonly serverName: string;
  readonly client: ShownClient;
  /** What the client asks for, of what there is: of OpenID Connect, and of the server. */
  readonly requested: { readonly openid: readonly string[]; readonly resource: readonly string[] };
  /** The latter in words. */
  readonly scopes: readonly ShownScope[];
  /** Path of the interaction's page, and what proves that a form is from it. */
  readonly form: { readonly action: string; readonly token: string };
  /** Ends the step and sends the browser on. */
  finish(result: InteractionResults): Promise<void>;
  /** Answers with a page. */
  show(status: number, page: Page): void;
  /** Sends the browser elsewhere without ending the step. */
  send(url: string): void;
  /** Begins anew, with a sign-in whoever is signed in. */
  restart(): void;
}

/** A way in which people prove who they are. Each of its parts ends in one of `finish`, `show` and `send`. */
export interface SignInMethod {
  /** Asks the person. */
  show(step: Step): Promise<void>;
  /** Takes what they answered on our page. */
  take(step: Step, fields: URLSearchParams): Promise<void>;
  /** Takes what another provider answered. Absent where nobody is sent elsewhere. */
  readonly comeBack?: (step: Step, answer: URLSearchParams) => Promise<void>;
  /** The interaction that another provider's answer belongs to. */
  readonly findInteraction?: (answer: URLSearchParams) => Promise<string | undefined>;
}
