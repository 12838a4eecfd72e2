import { defineTool, ToolError } from '../../../src/index.ts';
import type { AnyTool } from '../../../src/mcp/server-definition.ts';
import {
  audioBase64,
  imageBase64,
  jsonSchema202012,
  mirroredArgumentSchema,
  pause,
} from './fixture-content.ts';

/** Tools that answer with every kind of content, and one that fails. The first must be callable without arguments. */
export const contentTools: readonly AnyTool[] = [
  defineTool({
    name: 'test_simple_text',
    description: 'Tests simple text content response',
    handler: () => 'This is a simple text response for testing.',
  }),
  defineTool({
    name: 'test_image_content',
    description: 'Tests image content response',
    handler: () => [{ type: 'image', data: imageBase64, mimeType: 'image/png' }],
  }),
  defineTool({
    name: 'test_audio_content',
    description: 'Tests audio content response',
    handler: () => [{ type: 'audio', data: audioBase64, mimeType: 'audio/wav' }],
  }),
  defineTool({
    name: 'test_embedded_resource',
    description: 'Tests embedded resource content response',
    handler: () => [
      {
        type: 'resource',
        resource: {
          uri: 'test://embedded-resource',
          mimeType: 'text/plain',
          text: 'This is an embedded resource content.',
        },
      },
    ],
  }),
  defineTool({
    name: 'test_multiple_content_types',
    description: 'Tests response with multiple content types (text, image, resource)',
    handler: () => [
      { type: 'text', text: 'Multiple content types test:' },
      { type: 'image', data: imageBase64, mimeType: 'image/png' },
      {
        type: 'resource',
        resource: {
          uri: 'test://mixed-content-resource',
          mimeType: 'application/json',
          text: JSON.stringify({ test: 'data', value: 123 }),
        },
      },
    ],
  }),
  defineTool({
    name: 'test_error_handling',
    description: 'Tests error response handling',
    handler: () => {
      throw new ToolError('This tool intentionally returns an error for testing');
    },
  }),
  defineTool({
    name: 'json_schema_2020_12_tool',
    description: 'Tool with JSON Schema 2020-12 features for conformance testing (SEP-1613)',
    input: jsonSchema202012,
    handler: (input) => `JSON Schema 2020-12 tool called with: ${JSON.stringify(input)}`,
  }),
  defineTool({
    name: 'test_x_mcp_header',
    description: 'Tests an argument that is mirrored into a request header (SEP-2243)',
    input: mirroredArgumentSchema,
    handler: (input) => `Region: ${String(input.region)}`,
  }),
  defineTool({
    name: 'test_tool_with_logging',
    description: 'Tests tool that emits log messages during execution',
    handler: async (_input, context) => {
      context.log('info', 'Tool execution started');
      await pause(context.signal);
      context.log('info', 'Tool processing data');
      await pause(context.signal);
      context.log('info', 'Tool execution completed');
      return 'Tool with logging executed successfully';
    },
  }),
  defineTool({
    name: 'test_tool_with_progress',
    description: 'Tests tool that reports progress notifications',
    handler: async (_input, context) => {
      context.progress(0, 100, 'Completed step 0 of 100');
      await pause(context.signal);
      context.progress(50, 100, 'Completed step 50 of 100');
      await pause(context.signal);
      context.progress(100, 100, 'Completed step 100 of 100');
      return 'Tool with progress executed successfully';
    },
  }),
];
