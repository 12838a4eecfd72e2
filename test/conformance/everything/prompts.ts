import { z } from 'zod';
import { definePrompt } from '../../../src/index.ts';
import type { AnyPrompt } from '../../../src/mcp/server-definition.ts';
import { imageBase64 } from './fixture-content.ts';

/** Prompts without arguments, with arguments, with content, and one that asks first. */
export const prompts: readonly AnyPrompt[] = [
  definePrompt({
    name: 'test_simple_prompt',
    title: 'Simple Test Prompt',
    description: 'A simple prompt without arguments',
    handler: () => 'This is a simple prompt for testing.',
  }),
  definePrompt({
    name: 'test_prompt_with_arguments',
    title: 'Prompt With Arguments',
    description: 'A prompt with required arguments',
    arguments: z.object({
      arg1: z.string().describe('First test argument'),
      arg2: z.string().describe('Second test argument'),
    }),
    complete: { arg1: (typed) => ['test', 'testing', 'tested'].filter((value) => value.startsWith(typed)) },
    handler: ({ arg1, arg2 }) => `Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`,
  }),
  definePrompt({
    name: 'test_prompt_with_embedded_resource',
    title: 'Prompt With Embedded Resource',
    description: 'A prompt that includes an embedded resource',
    arguments: z.object({ resourceUri: z.string().describe('URI of the resource to embed') }),
    handler: ({ resourceUri }) => [
      {
        role: 'user',
        content: {
          type: 'resource',
          resource: {
            uri: resourceUri,
            mimeType: 'text/plain',
            text: 'Embedded resource content for testing.',
          },
        },
      },
      { role: 'user', content: { type: 'text', text: 'Please process the embedded resource above.' } },
    ],
  }),
  definePrompt({
    name: 'test_prompt_with_image',
    title: 'Prompt With Image',
    description: 'A prompt that includes image content',
    handler: () => [
      { role: 'user', content: { type: 'image', data: imageBase64, mimeType: 'image/png' } },
      { role: 'user', content: { type: 'text', text: 'Please analyze the image above.' } },
    ],
  }),
  definePrompt({
    name: 'test_input_required_result_prompt',
    description: 'A prompt that asks the user first',
    handler: async (_input, context) => {
      const answer = await context.elicit(
        'What context should the prompt use?',
        z.object({ context: z.string() }),
        {
          key: 'user_context',
        },
      );
      return `Prompt with context: ${answer.action === 'accept' ? answer.content.context : 'none'}`;
    },
  }),
];
