import { ProtocolError, protocolErrorCodes } from '../errors.ts';
import { argumentsOf, describeInvalid } from './call-arguments.ts';
import { CallContext } from './call-context.ts';
import type { Exchange } from './dispatch-target.ts';
import { failuresOf } from './handler-failure.ts';
import { isRecord } from './json-rpc.ts';
import { progressTokenOf } from './request-meta.ts';
import type { ResultText } from './result-text.ts';
import { compileSchema, emptyObjectSchema, requireObjectSchema, type CompiledSchema } from './schema.ts';
import type { AnyPrompt, Completer, PromptReturn } from './server-definition.ts';

interface CompiledPrompt {
  readonly definition: AnyPrompt;
  readonly input: CompiledSchema;
}

/** The prompts of one server. */
export interface CompiledPrompts {
  readonly listed: readonly Readonly<Record<string, unknown>>[];
  /** Answers `prompts/get`. */
  get(params: Readonly<Record<string, unknown>>, exchange: Exchange): Promise<string>;
  /** `undefined` when there is no such prompt. */
  completersOf(name: string): Readonly<Record<string, Completer>> | undefined;
}

/** @throws TypeError for a duplicate name or arguments that are not an object of strings */
export function compilePrompts(prompts: readonly AnyPrompt[], resultText: ResultText): CompiledPrompts {
  const table = new Map<string, CompiledPrompt>();
  for (const definition of prompts) {
    if (table.has(definition.name)) throw new TypeError(`prompt "${definition.name}" is defined twice`);
    const label = `prompt "${definition.name}": arguments`;
    const input = requireObjectSchema(compileSchema(definition.arguments ?? emptyObjectSchema, label), label);
    requireStrings(input, label);
    table.set(definition.name, { definition, input });
  }
  return {
    listed: [...table.values()].map(toListed),
    completersOf: (name) => {
      const prompt = table.get(name);
      return prompt === undefined ? undefined : (prompt.definition.complete ?? {});
    },
    get: async (params, exchange) => {
      const { name } = params;
      if (typeof name !== 'string')
        throw new ProtocolError(protocolErrorCodes.invalidParams, 'Invalid params: name must be a string');
      const prompt = table.get(name);
      if (prompt === undefined)
        throw new ProtocolError(protocolErrorCodes.invalidParams, `Unknown prompt: ${name.slice(0, 128)}`);
      const parsed = await prompt.input.parse(argumentsOf(params));
      if (!parsed.isValid) {
        const problem = describeInvalid(parsed, prompt.definition.name, exchange);
        throw new ProtocolError(protocolErrorCodes.invalidParams, problem);
      }
      const context = new CallContext(exchange, { progressToken: progressTokenOf(params) });
      const { handler, name: label, description } = prompt.definition;
      await exchange.enter();
      const returned = await failuresOf(`prompt ${label}`, () => handler(parsed.value, context));
      return resultText.complete(exchange.era, toResult(returned, description));
    },
  };
}

/** @see MCP 2026-07-28, Prompts, Getting a Prompt: a client has only strings to send */
function requireStrings(input: CompiledSchema, label: string): void {
  const { properties } = input.json;
  for (const [name, property] of Object.entries(isRecord(properties) ? properties : {})) {
    const type = isRecord(property) ? property['type'] : undefined;
    if (type !== undefined && type !== 'string') {
      throw new TypeError(`${label}: "${name}" must be a string, as all arguments of prompts are`);
    }
  }
}

function toResult(
  returned: PromptReturn,
  description: string | undefined,
): Readonly<Record<string, unknown>> {
  if (typeof returned === 'string') {
    return { description, messages: [{ role: 'user', content: { type: 'text', text: returned } }] };
  }
  return 'messages' in returned
    ? { description: returned.description ?? description, messages: returned.messages }
    : { description, messages: returned };
}

/** Prompt arguments are names and descriptions on the wire, not a schema. MCP 2026-07-28, Prompts, Data Types. */
function toListed({ definition, input }: CompiledPrompt): Readonly<Record<string, unknown>> {
  const { name, title, description, icons, _meta } = definition;
  const properties = isRecord(input.json['properties']) ? input.json['properties'] : {};
  const required: readonly unknown[] = Array.isArray(input.json['required']) ? input.json['required'] : [];
  const listed = Object.entries(properties).map(([key, property]) => ({
    name: key,
    title: isRecord(property) ? property['title'] : undefined,
    description: isRecord(property) ? property['description'] : undefined,
    required: required.includes(key),
  }));
  return { name, title, description, icons, arguments: listed.length === 0 ? undefined : listed, _meta };
}
