/**
 * The steps between a client's request and its answer that a person takes: signing in, and allowing.
 */
import type { FullReply, HttpRequest } from '../http/messages.ts';
import { type ConsentOptions, createConsentStep, toDenied } from './consent-step.ts';
import type { SignInMethod, Step } from './interaction-step.ts';
import { toPageReply } from './pages/html.ts';
import { renderProblemPage } from './pages/interaction-pages.ts';
import {
  carryingHeaders,
  createStepRunner,
  expiredPage,
  type StepRunnerOptions,
  toInteractionPath,
} from './step-runner.ts';

/** What the steps depend on. */
export interface InteractionOptions extends StepRunnerOptions, ConsentOptions {
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

/** The steps over one authorization server. */
export function createInteractions(options: InteractionOptions): Interactions {
  const { signIn } = options;
  const { run, isOwnForm } = createStepRunner(options);
  const consent = createConsentStep(options);

  const showStep = async (step: Step): Promise<void> => {
    if (step.interaction.prompt.name === 'login') await signIn.show(step);
    else await consent.show(step);
  };

  return {
    show: (request) => run(request, showStep),
    decide: (request) =>
      run(request, async (step) => {
        const fields = new URLSearchParams(request.body);
        if (!isOwnForm(request, step, fields)) {
          step.show(403, foreignFormPage);
          return;
        }
        const decision = fields.get('decision');
        if (decision === 'cancel') await step.finish(toDenied('The user said no'));
        else if (decision === 'switch') step.restart();
        else if (step.interaction.prompt.name === 'login') await signIn.take(step, fields);
        else await consent.take(step, fields);
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
}

const foreignFormPage = renderProblemPage(
  'This form cannot be taken',
  'It did not come from our own page, or the page was open for too long.',
  'Go back to the application that sent you here and connect again.',
);
