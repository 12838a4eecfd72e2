import { z } from 'zod';
import { defineTool } from '../../../src/index.ts';
import type { HandlerContext } from '../../../src/mcp/handler-context.ts';
import type { AnyTool } from '../../../src/mcp/server-definition.ts';
import { defaultsForm, enumsForm, toSampledText, toSamplingParams } from './fixture-content.ts';

const nameForm = z.object({ name: z.string() });
const colorForm = z.object({ color: z.string() });
const confirmForm = z.object({ ok: z.boolean() });

/** Tools that ask, in the words of the legacy scenarios and of the `input-required-result-*` ones. */
export const questionTools: readonly AnyTool[] = [
  defineTool({
    name: 'test_sampling',
    description: 'Tests server-initiated sampling (LLM completion request)',
    input: z.object({ prompt: z.string().describe('The prompt to send to the LLM') }),
    handler: async ({ prompt }, context) => {
      const { content } = await context.sample(toSamplingParams(prompt, 100));
      return `LLM response: ${toSampledText(content)}`;
    },
  }),
  defineTool({
    name: 'test_elicitation',
    description: 'Tests server-initiated elicitation (user input request)',
    input: z.object({ message: z.string().describe('The message to show the user') }),
    handler: async ({ message }, context) => {
      const answer = await context.elicit(
        message,
        z.object({ response: z.string().describe("User's response") }),
      );
      return toAnswerText('User response', answer);
    },
  }),
  defineTool({
    name: 'test_elicitation_sep1034_defaults',
    description: 'Tests elicitation with default values per SEP-1034',
    handler: async (_input, context) =>
      toAnswerText('Elicitation completed', await context.elicitForm(defaultsForm)),
  }),
  defineTool({
    name: 'test_elicitation_sep1330_enums',
    description: 'Tests elicitation with enum schema improvements per SEP-1330',
    handler: async (_input, context) =>
      toAnswerText('Elicitation completed', await context.elicitForm(enumsForm)),
  }),
  defineTool({
    name: 'test_input_required_result_elicitation',
    description: 'Asks the user for a name',
    handler: async (_input, context) =>
      `Hello, ${await askName(context, 'What is your name?', 'user_name')}!`,
  }),
  defineTool({
    name: 'test_input_required_result_sampling',
    description: "Asks the client's model for a capital",
    handler: async (_input, context) => {
      const params = toSamplingParams('What is the capital of France?', 100);
      const { content } = await context.sample(params, { key: 'capital_question' });
      return `Sampling result: ${toSampledText(content)}`;
    },
  }),
  defineTool({
    name: 'test_input_required_result_list_roots',
    description: "Asks for the client's roots",
    handler: async (_input, context) => {
      const roots = await context.listRoots({ key: 'client_roots' });
      return `Found ${roots.length} root(s): ${roots.map(({ uri }) => uri).join(', ')}`;
    },
  }),
  defineTool({
    name: 'test_input_required_result_request_state',
    description: 'Asks for a confirmation, with state that must come back',
    handler: async (_input, context) => {
      const seed = await context.once('seed', () => context.requestId);
      const answer = await context.elicit('Please confirm', confirmForm, { key: 'confirm' });
      const isKept = seed !== context.requestId;
      return answer.action === 'accept' && isKept ? 'state-ok: requestState validated' : 'state-missing';
    },
  }),
  defineTool({
    name: 'test_input_required_result_multiple_inputs',
    description: 'Asks the user, the model and for roots at once',
    handler: async (_input, context) => {
      const [name, greeting, roots] = await Promise.all([
        askName(context, 'What is your name?', 'user_name'),
        context.sample(toSamplingParams('Generate a greeting', 50), { key: 'greeting' }),
        context.listRoots({ key: 'client_roots' }),
      ]);
      return `Name: ${name}; Greeting: ${toSampledText(greeting.content)}; Roots: ${roots.length}`;
    },
  }),
  defineTool({
    name: 'test_input_required_result_multi_round',
    description: 'Asks twice, the second time after the first answer',
    handler: async (_input, context) => {
      const name = await askName(context, 'Step 1: What is your name?', 'step1');
      const answer = await context.elicit('Step 2: What is your favorite color?', colorForm, {
        key: 'step2',
      });
      const color = answer.action === 'accept' ? answer.content.color : 'unknown';
      return `Multi-round complete for ${name} who likes ${color}`;
    },
  }),
  defineTool({
    name: 'test_input_required_result_tampered_state',
    description: 'Asks for a confirmation, with state that must not be altered',
    handler: async (_input, context) => {
      await context.elicit('Please confirm', confirmForm, { key: 'confirm' });
      return 'integrity-ok: state verified';
    },
  }),
  defineTool({
    name: 'test_input_required_result_capabilities',
    description: 'Asks only for what the client can do',
    handler: async (_input, context) => {
      const { elicitation, sampling } = context.clientCapabilities;
      const asked = await Promise.all([
        elicitation === undefined ? undefined : askName(context, 'Elicitation input', 'elicit_input'),
        sampling === undefined
          ? undefined
          : context.sample(toSamplingParams('Sample request', 50), { key: 'sample_input' }),
      ]);
      return `capabilities-ok: asked for ${asked.filter((answer) => answer !== undefined).length}`;
    },
  }),
];

async function askName(context: HandlerContext, message: string, key: string): Promise<string> {
  const answer = await context.elicit(message, nameForm, { key });
  return answer.action === 'accept' ? answer.content.name : 'stranger';
}

function toAnswerText(
  label: string,
  answer: { readonly action: string; readonly content?: unknown },
): string {
  return `${label}: action=${answer.action}, content=${JSON.stringify(answer.content ?? {})}`;
}
