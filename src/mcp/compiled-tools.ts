import { ProtocolError, protocolErrorCodes } from '../errors.ts';
import { argumentsOf, describeInvalid } from './call-arguments.ts';
import { CallContext } from './call-context.ts';
import type { Exchange } from './dispatch-target.ts';
import { HandlerFailure } from './handler-failure.ts';
import { InputRequired } from './input-required.ts';
import { checkParameterHeaders, findParameterHeaders, type ParameterHeader } from './parameter-headers.ts';
import type { ContentBlock } from './protocol-types.ts';
import { progressTokenOf } from './request-meta.ts';
import type { ResultText } from './result-text.ts';
import {
  compileSchema,
  emptyObjectSchema,
  requireObjectSchema,
  type CompiledSchema,
  type ParseOutcome,
} from './schema.ts';
import type { AnyTool } from './server-definition.ts';
import { ToolError, ToolResult } from './tool-result.ts';

/** A tool in the table that calls are looked up in. */
interface CompiledTool {
  readonly definition: AnyTool;
  readonly input: CompiledSchema;
  readonly output: CompiledSchema | undefined;
  readonly parameterHeaders: readonly ParameterHeader[];
}

/** The tools of one server. */
export interface CompiledTools {
  /** As listed, in the author's order. */
  readonly listed: readonly Readonly<Record<string, unknown>>[];
  /** Answers `tools/call`. @returns JSON text of the result */
  call(params: Readonly<Record<string, unknown>>, exchange: Exchange): Promise<string>;
}

// MCP 2026-07-28, Tools, Tool Names.
const toolName = /^[A-Za-z0-9_.-]{1,128}$/;

/** @throws TypeError for a bad or duplicate name, or a schema that cannot be used */
export function compileTools(tools: readonly AnyTool[], resultText: ResultText): CompiledTools {
  const table = new Map<string, CompiledTool>();
  for (const tool of tools) {
    if (!toolName.test(tool.name))
      throw new TypeError(`tool "${tool.name}": a name is 1 to 128 of A-Z a-z 0-9 _ - .`);
    if (table.has(tool.name)) throw new TypeError(`tool "${tool.name}" is defined twice`);
    table.set(tool.name, compileTool(tool));
  }
  return {
    listed: [...table.values()].map(toListed),
    call: async (params, exchange) => {
      const { name } = params;
      if (typeof name !== 'string')
        throw new ProtocolError(protocolErrorCodes.invalidParams, 'Invalid params: name must be a string');
      const tool = table.get(name);
      if (tool === undefined)
        throw new ProtocolError(protocolErrorCodes.invalidParams, `Unknown tool: ${name.slice(0, 128)}`);
      const input = argumentsOf(params);
      if (tool.parameterHeaders.length > 0 && exchange.parameterHeaders !== undefined) {
        checkParameterHeaders(tool.parameterHeaders, exchange.parameterHeaders, input);
      }
      let parsed: ParseOutcome | Promise<ParseOutcome> = tool.input.parse(input);
      if (parsed instanceof Promise) parsed = await parsed;
      // MCP 2025-11-25, Tools, Error Handling: what the model can correct is a result, not a protocol error.
      if (!parsed.isValid) {
        return toErrorText(resultText, exchange, describeInvalid(parsed, tool.definition.name, exchange));
      }
      const context = new CallContext(exchange, { progressToken: progressTokenOf(params) });
      const entering = exchange.enter();
      if (entering !== undefined) await entering;
      return runTool({ tool, input: parsed.value, context, exchange, resultText });
    },
  };
}

interface ToolRun {
  readonly tool: CompiledTool;
  /** Parsed. */
  readonly input: unknown;
  readonly context: CallContext;
  readonly exchange: Exchange;
  readonly resultText: ResultText;
}

async function runTool({ tool, input, context, exchange, resultText }: ToolRun): Promise<string> {
  try {
    const returned: unknown = await tool.definition.handler(input, context);
    if (typeof returned === 'string' && tool.output === undefined) {
      return resultText.complete(exchange.era, { content: [{ type: 'text', text: returned }] });
    }
    return resultText.complete(exchange.era, await toResult(tool, returned));
  } catch (error) {
    if (error instanceof ProtocolError || error instanceof InputRequired) throw error;
    // MCP 2026-07-28, Tools, Error Handling: a failed tool is a result. The model reads what was meant for it; of
    // anything else it learns only under which id the operator finds it.
    if (error instanceof ToolError) return toErrorText(resultText, exchange, error.message);
    exchange.report(new HandlerFailure(`tool ${tool.definition.name}`, error));
    return toErrorText(
      resultText,
      exchange,
      `${tool.definition.name} failed (request ${exchange.requestId})`,
    );
  }
}

async function toResult(tool: CompiledTool, returned: unknown): Promise<Readonly<Record<string, unknown>>> {
  if (returned instanceof ToolResult) {
    const { content, structuredContent, isError, _meta } = returned;
    // MCP 2026-07-28, Tools, Output Schema: structured results MUST conform. A failure has none.
    if (tool.output !== undefined && !isError) await requireFit(tool.output, structuredContent);
    return {
      content,
      ...(structuredContent === undefined ? {} : { structuredContent }),
      ...(isError ? { isError } : {}),
      ...(_meta === undefined ? {} : { _meta }),
    };
  }
  if (tool.output === undefined) {
    if (returned === undefined) return { content: [] };
    if (Array.isArray(returned)) return { content: returned as ContentBlock[] };
    throw new TypeError('a tool without an output schema returns a string, content blocks or a ToolResult');
  }
  const value = await requireFit(tool.output, returned);
  // MCP 2025-11-25, Tools, Structured Content: repeated as text for clients that read only content.
  return { content: [{ type: 'text', text: JSON.stringify(value) }], structuredContent: value };
}

async function requireFit(schema: CompiledSchema, value: unknown): Promise<unknown> {
  const outcome = await schema.parse(value);
  if (!outcome.isValid) {
    throw new TypeError(`the result does not fit the output schema: ${outcome.problem}`);
  }
  return outcome.value;
}

function toErrorText(resultText: ResultText, exchange: Exchange, message: string): string {
  return resultText.complete(exchange.era, { content: [{ type: 'text', text: message }], isError: true });
}

function compileTool(tool: AnyTool): CompiledTool {
  const label = `tool "${tool.name}"`;
  const input = requireObjectSchema(
    compileSchema(tool.input ?? emptyObjectSchema, `${label}: input`),
    `${label}: input`,
  );
  const output =
    tool.output === undefined
      ? undefined
      : requireObjectSchema(compileSchema(tool.output, `${label}: output`, 'output'), `${label}: output`);
  return {
    definition: tool,
    input,
    output,
    parameterHeaders: findParameterHeaders(input.json, `${label}: input`),
  };
}

function toListed({ definition, input, output }: CompiledTool): Readonly<Record<string, unknown>> {
  const { name, title, description, icons, annotations, _meta } = definition;
  return {
    name,
    title,
    description,
    icons,
    inputSchema: input.json,
    outputSchema: output?.json,
    annotations,
    _meta,
  };
}
