import { randomBytes } from 'node:crypto';
import {
  acceptedContent,
  createRequestStateCodec,
  inputRequired,
  inputResponse,
} from '@modelcontextprotocol/server';
import type {
  InputRequests,
  McpServer,
  RequestStateCodec,
  ServerContext,
} from '@modelcontextprotocol/server';
import { z } from 'zod';
import { defaultsForm, enumsForm, toSampledText, toSamplingParams } from './fixture-content.ts';
import { toText } from './sdk-content.ts';

/** What this fixture keeps between two rounds of a call. */
export interface KeptState {
  readonly tool: string;
  readonly name?: string;
}

const givenStateKey = process.env['EVERYTHING_STATE_KEY'];

/**
 * Signs the state of a call. Any instance may get the next round of it, so a fleet is given one key: 64 hexadecimal
 * digits.
 */
export const requestStates: RequestStateCodec<KeptState> = createRequestStateCodec<KeptState>({
  key: givenStateKey === undefined ? randomBytes(32) : Buffer.from(givenStateKey, 'hex'),
});

const nameForm = z.object({ name: z.string() });
const colorForm = z.object({ color: z.string() });
const confirmForm = z.object({ ok: z.boolean() });
const contextForm = z.object({ context: z.string() });
const responseForm = z.object({ response: z.string().describe("User's response") });
const samplingInput = z.object({ prompt: z.string().describe('The prompt to send to the LLM') });
const elicitationInput = z.object({ message: z.string().describe('The message to show the user') });

/** Tools and a prompt that ask. */
export function registerSdkQuestions(server: McpServer): void {
  registerLegacyNames(server);
  registerSingleQuestions(server);
  registerStatefulQuestions(server);
  registerSeveralQuestions(server);
  server.registerPrompt(
    'test_input_required_result_prompt',
    { description: 'A prompt that asks first' },
    (context) => {
      const answer = acceptedContent(context.mcpReq.inputResponses, 'user_context', contextForm);
      if (answer === undefined) {
        const params = { message: 'What context should the prompt use?', requestedSchema: contextForm };
        return inputRequired({ inputRequests: { user_context: inputRequired.elicit(params) } });
      }
      return {
        messages: [
          { role: 'user', content: { type: 'text', text: `Prompt with context: ${answer.context}` } },
        ],
      };
    },
  );
}

function registerLegacyNames(server: McpServer): void {
  server.registerTool(
    'test_sampling',
    { description: 'Tests server-initiated sampling (LLM completion request)', inputSchema: samplingInput },
    ({ prompt }, context) => {
      const answer = inputResponse(context.mcpReq.inputResponses, 'sample');
      if (answer.kind === 'sampling') return toText(`LLM response: ${toSampledText(answer.result.content)}`);
      return inputRequired({
        inputRequests: { sample: inputRequired.createMessage(toSamplingParams(prompt, 100)) },
      });
    },
  );
  server.registerTool(
    'test_elicitation',
    { description: 'Tests server-initiated elicitation (user input request)', inputSchema: elicitationInput },
    ({ message }, context) =>
      toAnswerText(context, 'User response') ??
      inputRequired({
        inputRequests: { form: inputRequired.elicit({ message, requestedSchema: responseForm }) },
      }),
  );
  server.registerTool(
    'test_elicitation_sep1034_defaults',
    { description: 'Tests elicitation with default values per SEP-1034' },
    (context) =>
      toAnswerText(context, 'Elicitation completed') ??
      inputRequired({ inputRequests: { form: inputRequired.elicit(defaultsForm) } }),
  );
  server.registerTool(
    'test_elicitation_sep1330_enums',
    { description: 'Tests elicitation with enum schema improvements per SEP-1330' },
    (context) =>
      toAnswerText(context, 'Elicitation completed') ??
      inputRequired({ inputRequests: { form: inputRequired.elicit(enumsForm) } }),
  );
}

function registerSingleQuestions(server: McpServer): void {
  server.registerTool(
    'test_input_required_result_elicitation',
    { description: 'Asks the user for a name' },
    ({ mcpReq }) => {
      const answer = acceptedContent(mcpReq.inputResponses, 'user_name', nameForm);
      if (answer !== undefined) return toText(`Hello, ${answer.name}!`);
      return inputRequired({ inputRequests: { user_name: askName('What is your name?') } });
    },
  );
  server.registerTool(
    'test_input_required_result_sampling',
    { description: "Asks the client's model for a capital" },
    ({ mcpReq }) => {
      const answer = inputResponse(mcpReq.inputResponses, 'capital_question');
      if (answer.kind === 'sampling')
        return toText(`Sampling result: ${toSampledText(answer.result.content)}`);
      const params = toSamplingParams('What is the capital of France?', 100);
      return inputRequired({ inputRequests: { capital_question: inputRequired.createMessage(params) } });
    },
  );
  server.registerTool(
    'test_input_required_result_list_roots',
    { description: "Asks for the client's roots" },
    ({ mcpReq }) => {
      const answer = inputResponse(mcpReq.inputResponses, 'client_roots');
      if (answer.kind === 'roots') return toText(`Found ${answer.roots.length} root(s)`);
      return inputRequired({ inputRequests: { client_roots: inputRequired.listRoots() } });
    },
  );
}

function registerStatefulQuestions(server: McpServer): void {
  const confirmations = [
    ['test_input_required_result_request_state', 'Asks, with state that must come back', 'state-ok'],
    [
      'test_input_required_result_tampered_state',
      'Asks, with state that must not be altered',
      'integrity-ok',
    ],
  ] as const;
  for (const [tool, description, text] of confirmations) {
    server.registerTool(tool, { description }, async ({ mcpReq }) => {
      const answer = acceptedContent(mcpReq.inputResponses, 'confirm', confirmForm);
      if (answer !== undefined && mcpReq.requestState<KeptState>()?.tool === tool) return toText(text);
      const params = { message: 'Please confirm', requestedSchema: confirmForm };
      return inputRequired({
        inputRequests: { confirm: inputRequired.elicit(params) },
        requestState: await requestStates.mint({ tool }),
      });
    });
  }
  const tool = 'test_input_required_result_multi_round';
  server.registerTool(
    tool,
    { description: 'Asks twice, the second time after the first answer' },
    async ({ mcpReq }) => {
      const name =
        mcpReq.requestState<KeptState>()?.name ??
        acceptedContent(mcpReq.inputResponses, 'step1', nameForm)?.name;
      if (name === undefined) {
        return inputRequired({
          inputRequests: { step1: askName('Step 1: What is your name?') },
          requestState: await requestStates.mint({ tool }),
        });
      }
      const answer = acceptedContent(mcpReq.inputResponses, 'step2', colorForm);
      if (answer !== undefined) return toText(`Multi-round complete for ${name} who likes ${answer.color}`);
      const params = { message: 'Step 2: What is your favorite color?', requestedSchema: colorForm };
      return inputRequired({
        inputRequests: { step2: inputRequired.elicit(params) },
        requestState: await requestStates.mint({ tool, name }),
      });
    },
  );
}

function registerSeveralQuestions(server: McpServer): void {
  const tool = 'test_input_required_result_multiple_inputs';
  server.registerTool(
    tool,
    { description: 'Asks the user, the model and for roots at once' },
    async ({ mcpReq }) => {
      const name = acceptedContent(mcpReq.inputResponses, 'user_name', nameForm)?.name;
      const greeting = inputResponse(mcpReq.inputResponses, 'greeting');
      const roots = inputResponse(mcpReq.inputResponses, 'client_roots');
      if (name !== undefined && greeting.kind === 'sampling' && roots.kind === 'roots') {
        const text = toSampledText(greeting.result.content);
        return toText(`Name: ${name}; Greeting: ${text}; Roots: ${roots.roots.length}`);
      }
      return inputRequired({
        inputRequests: {
          user_name: askName('What is your name?'),
          greeting: inputRequired.createMessage(toSamplingParams('Generate a greeting', 50)),
          client_roots: inputRequired.listRoots(),
        },
        requestState: await requestStates.mint({ tool }),
      });
    },
  );
  server.registerTool(
    'test_input_required_result_capabilities',
    { description: 'Asks only for what the client can do' },
    ({ mcpReq }) => {
      const answered = Object.keys(mcpReq.inputResponses ?? {});
      if (answered.length > 0) return toText(`capabilities-ok: received ${answered.join(',')}`);
      const { elicitation, sampling } = server.server.getClientCapabilities() ?? {};
      const inputRequests: InputRequests = {};
      if (elicitation !== undefined) inputRequests.elicit_input = askName('Elicitation input');
      if (sampling !== undefined) {
        inputRequests.sample_input = inputRequired.createMessage(toSamplingParams('Sample request', 50));
      }
      if (Object.keys(inputRequests).length === 0) return toText('No supported capabilities declared');
      return inputRequired({ inputRequests });
    },
  );
}

function askName(message: string): InputRequests[string] {
  return inputRequired.elicit({ message, requestedSchema: nameForm });
}

function toAnswerText({ mcpReq }: ServerContext, label: string): ReturnType<typeof toText> | undefined {
  const answer = inputResponse(mcpReq.inputResponses, 'form');
  if (answer.kind !== 'elicit') return undefined;
  return toText(`${label}: action=${answer.action}, content=${JSON.stringify(answer.content ?? {})}`);
}
