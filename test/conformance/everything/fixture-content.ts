/**
 * What the conformance suite expects to read, shared by the fixture's two versions so that they cannot differ.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ElicitFormParams } from '../../../src/mcp/protocol-types.ts';

/** A red PNG of one pixel. */
export const imageBase64 =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==';

/** The shortest WAV file that players accept. */
export const audioBase64 = 'UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA=';

/** The suite wants notifications spread over time; this is how far apart. */
export const notificationGapMs = 50;

/** Waits between two notifications; ends early when the call is cancelled. */
export async function pause(signal: AbortSignal, ms: number = notificationGapMs): Promise<void> {
  await sleep(ms, undefined, { signal });
}

/** Every keyword family that a server must hand on untouched. SEP-1613, SEP-2106. */
export const jsonSchema202012 = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  $defs: {
    address: {
      $anchor: 'addressDef',
      type: 'object',
      properties: { street: { type: 'string' }, city: { type: 'string' } },
    },
  },
  properties: {
    name: { type: 'string' },
    address: { $ref: '#/$defs/address' },
    contactMethod: { type: 'string', enum: ['phone', 'email'] },
    phone: { type: 'string' },
    email: { type: 'string' },
  },
  allOf: [{ anyOf: [{ required: ['phone'] }, { required: ['email'] }] }],
  if: { properties: { contactMethod: { const: 'phone' } }, required: ['contactMethod'] },
  // The keyword of JSON Schema; nobody awaits this object.
  // oxlint-disable-next-line unicorn/no-thenable
  then: { required: ['phone'] },
  else: { required: ['email'] },
  additionalProperties: false,
} as const;

/** A tool whose argument is mirrored into `Mcp-Param-Region`. SEP-2243. */
export const mirroredArgumentSchema = {
  type: 'object',
  properties: { region: { type: 'string', description: 'Where to run', 'x-mcp-header': 'Region' } },
  required: ['region'],
} as const;

/** A default for every primitive type. SEP-1034. */
export const defaultsForm: ElicitFormParams = {
  message: 'Please review and update the form fields with defaults',
  requestedSchema: {
    type: 'object',
    properties: {
      name: { type: 'string', description: 'User name', default: 'John Doe' },
      age: { type: 'integer', description: 'User age', default: 30 },
      score: { type: 'number', description: 'User score', default: 95.5 },
      status: {
        type: 'string',
        description: 'User status',
        enum: ['active', 'inactive', 'pending'],
        default: 'active',
      },
      verified: { type: 'boolean', description: 'Verification status', default: true },
    },
    required: [],
  },
};

/** The five ways to offer a choice. SEP-1330. */
export const enumsForm: ElicitFormParams = {
  message: 'Please select options from the enum fields',
  requestedSchema: {
    type: 'object',
    properties: {
      untitledSingle: {
        type: 'string',
        description: 'Select one option',
        enum: ['option1', 'option2', 'option3'],
      },
      titledSingle: {
        type: 'string',
        description: 'Select one option with titles',
        oneOf: [
          { const: 'value1', title: 'First Option' },
          { const: 'value2', title: 'Second Option' },
          { const: 'value3', title: 'Third Option' },
        ],
      },
      legacyEnum: {
        type: 'string',
        description: 'Select one option (legacy)',
        enum: ['opt1', 'opt2', 'opt3'],
        enumNames: ['Option One', 'Option Two', 'Option Three'],
      },
      untitledMulti: {
        type: 'array',
        description: 'Select multiple options',
        minItems: 1,
        maxItems: 3,
        items: { type: 'string', enum: ['option1', 'option2', 'option3'] },
      },
      titledMulti: {
        type: 'array',
        description: 'Select multiple options with titles',
        minItems: 1,
        maxItems: 3,
        items: {
          anyOf: [
            { const: 'value1', title: 'First Choice' },
            { const: 'value2', title: 'Second Choice' },
            { const: 'value3', title: 'Third Choice' },
          ],
        },
      },
    },
    required: [],
  },
};

/** A question to a client's model. */
export function toSamplingParams(text: string, maxTokens: number): SamplingParams {
  return { messages: [{ role: 'user', content: { type: 'text', text } }], maxTokens };
}

interface SamplingParams {
  messages: { role: 'user'; content: { type: 'text'; text: string } }[];
  maxTokens: number;
}

/** The text of a sampled message, whatever form its content has. */
export function toSampledText(content: unknown): string {
  const blocks: readonly unknown[] = Array.isArray(content) ? content : [content];
  for (const block of blocks) {
    if (typeof block === 'object' && block !== null && 'text' in block && typeof block.text === 'string') {
      return block.text;
    }
  }
  return 'No response';
}
