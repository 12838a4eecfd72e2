/**
 * What an author writes: tools, resources, prompts and completions, once, for both eras and both transports.
 */
import type { StandardJSONSchemaV1, StandardSchemaV1 } from '@standard-schema/spec';
import type { HandlerContext } from './handler-context.ts';
import type {
  Annotations,
  ContentBlock,
  Icon,
  PromptMessage,
  Resource,
  ToolAnnotations,
} from './protocol-types.ts';
import type { ToolResult } from './tool-result.ts';

/** A plain JSON Schema 2020-12 document (draft-07 when `$schema` says so). */
export type JsonSchema = { readonly [keyword: string]: unknown };

/** A Standard Schema that can also say itself as JSON Schema, as zod 4, ArkType and Valibot's adapter do. */
export type SchemaWithJson<Output = unknown> = StandardSchemaV1<unknown, Output> &
  StandardJSONSchemaV1<unknown, Output>;

/** What `input`, `output` and `arguments` accept. */
export type AnySchema = SchemaWithJson | JsonSchema;

/** The type a schema parses to: inferred from a Standard Schema, an open record from plain JSON Schema. */
export type Parsed<Schema> = Schema extends StandardSchemaV1
  ? StandardSchemaV1.InferOutput<Schema>
  : Readonly<Record<string, unknown>>;

type MaybePromise<Value> = Value | Promise<Value>;

/** What every listed thing may say about itself to people. */
export interface Described {
  /** For people; `name` is for programs. */
  readonly title?: string;
  readonly description?: string;
  readonly icons?: readonly Icon[];
  readonly _meta?: Readonly<Record<string, unknown>>;
}

/** What a caller needs to use a thing. */
export interface Guarded {
  /**
   * Scopes, all of which a caller needs beside the server's `baseScopes`. `notes` is enough where `notes:write` is
   * needed: what stands before a colon grants what follows it. Over HTTP a caller without them is answered 403
   * `insufficient_scope`; over stdio there is one caller, who may do everything. Default: none.
   */
  readonly scopes?: readonly string[];
}

/** How long and by whom a listed or read result may be kept. MCP 2026-07-28, Caching. */
export interface CacheHint {
  /** Milliseconds; default 0 (stale at once). */
  readonly ttlMs?: number;
  /** Default `private`. `public` only for what is the same for every caller. */
  readonly scope?: 'public' | 'private';
}

/** What a tool without an output schema may return. */
export type ToolReturn = string | ToolResult | readonly ContentBlock[] | undefined;

/** A tool. `defineTool` makes one with its types inferred. */
export interface ToolDefinition<
  Input extends AnySchema = AnySchema,
  Output extends AnySchema | undefined = AnySchema | undefined,
>
  extends Described, Guarded {
  /** Unique in the server; 1 to 128 of `A-Z a-z 0-9 _ - .`. */
  readonly name: string;
  /** Must describe an object. Default: an object without properties. */
  readonly input?: Input;
  /** When given, the handler returns this value; it is validated and sent as `structuredContent` and as JSON text. */
  readonly output?: Output;
  readonly annotations?: ToolAnnotations;
  /**
   * Runs once per call, except in the stateless era after a question to the user: then it runs again from the top
   * with the answers so far (see `HandlerContext.elicit`).
   *
   * Throw `ToolError` for what the model should read; any other error is told as a failure without its text.
   */
  handler(
    input: Parsed<Input>,
    context: HandlerContext,
  ): MaybePromise<Output extends AnySchema ? Parsed<Output> | ToolResult : ToolReturn>;
}

/** A piece of a read resource: text, or bytes. */
export type ResourceContent = {
  /** Default: the URI that was read. */
  readonly uri?: string;
  /** Default: the resource's own. */
  readonly mimeType?: string;
  readonly _meta?: Readonly<Record<string, unknown>>;
} & ({ readonly text: string } | { readonly blob: Uint8Array | string });

/** What `read` may return: text, one piece, or several. `undefined`: there is no such resource. */
export type ResourceReturn = string | ResourceContent | readonly ResourceContent[] | undefined;

interface ResourceBase extends Described, Guarded {
  readonly name: string;
  readonly mimeType?: string;
  readonly annotations?: Annotations;
  readonly cache?: CacheHint;
}

/** A resource with a fixed URI. */
export interface ResourceDefinition extends ResourceBase {
  readonly uri: string;
  /** Bytes, when known. */
  readonly size?: number;
  read(context: HandlerContext): MaybePromise<ResourceReturn>;
}

/** Values of a template's variables, percent-decoded. */
export type TemplateVariables = Readonly<Record<string, string>>;

/** One page of a dynamic list. */
export interface ResourcePage {
  readonly resources: readonly Resource[];
  /** Passed back as `cursor` for the next page; absent on the last. */
  readonly nextCursor?: string;
}

/** A family of resources. */
export interface ResourceTemplateDefinition extends ResourceBase {
  /** RFC 6570: `{name}` matches one segment, `{+name}` also slashes. */
  readonly uriTemplate: string;
  /** Adds this family's members to `resources/list`, a page at a time. */
  list?(context: HandlerContext, cursor: string | undefined): MaybePromise<ResourcePage>;
  /** Completers by variable name. */
  readonly complete?: Readonly<Record<string, Completer>>;
  read(
    variables: TemplateVariables,
    context: HandlerContext & { readonly uri: string },
  ): MaybePromise<ResourceReturn>;
}

/** What a completer sees beside the text typed so far. */
export interface CompletionContext extends HandlerContext {
  /** Values already chosen for the other arguments. */
  readonly arguments: Readonly<Record<string, string>>;
}

/** Proposes values that start from what was typed; at most the first 100 are sent. */
export type Completer = (
  typed: string,
  context: CompletionContext,
) => MaybePromise<
  | readonly string[]
  | { readonly values: readonly string[]; readonly total?: number; readonly hasMore?: boolean }
>;

/** What a prompt may return: one user message, or several. */
export type PromptReturn =
  | string
  | readonly PromptMessage[]
  | { readonly description?: string; readonly messages: readonly PromptMessage[] };

/** A prompt. `definePrompt` makes one with its types inferred. */
export interface PromptDefinition<Arguments extends AnySchema = AnySchema> extends Described, Guarded {
  readonly name: string;
  /** An object of strings; its properties become the prompt's arguments. Default: none. */
  readonly arguments?: Arguments;
  /** Completers by argument name. */
  readonly complete?: Readonly<Record<string, Completer>>;
  handler(input: Parsed<Arguments>, context: HandlerContext): MaybePromise<PromptReturn>;
}

/** Everything of one server. */
export interface ServerDefinitionInput extends Described {
  readonly name: string;
  readonly version: string;
  readonly websiteUrl?: string;
  /** For the model: how to use this server. */
  readonly instructions?: string;
  readonly tools?: readonly AnyTool[];
  readonly resources?: readonly ResourceDefinition[];
  readonly resourceTemplates?: readonly ResourceTemplateDefinition[];
  readonly prompts?: readonly AnyPrompt[];
  /**
   * What every request needs, over HTTP: the least that makes this server usable. Clients that sign in ask for these
   * first, and for more when something needs more. Default: none.
   */
  readonly baseScopes?: readonly string[];
  /** What each scope allows, in words, for the page on which a user agrees, e.g. `Change your notes`. */
  readonly scopeDescriptions?: Readonly<Record<string, string>>;
  /** Most items on one page of a static list. Default 1000. */
  readonly pageSize?: number;
  /** Cache hint for the lists of tools, prompts and templates and for discovery. Default: 0, private. */
  readonly cache?: CacheHint;
  /** Releases what the definition opened, once, when the host closes. */
  close?(): MaybePromise<void>;
}

// A handler's parameter makes these types contravariant: a list of tools with different inputs can only be held by
// a type whose handler accepts anything, and only the compiled table, which parses first, ever calls it.
// oxlint-disable-next-line typescript/no-explicit-any
export type AnyTool = ToolDefinition<any, any>;
// oxlint-disable-next-line typescript/no-explicit-any
export type AnyPrompt = PromptDefinition<any>;

/** What `defineServer` returns: checked, frozen, ready to be hosted. */
export interface ServerDefinition {
  readonly kind: 'mooring.server-definition';
  readonly input: ServerDefinitionInput;
}

/** A tool whose handler's input and result types come from its schemas. */
export function defineTool<
  const Input extends AnySchema,
  const Output extends AnySchema | undefined = undefined,
>(tool: ToolDefinition<Input, Output>): ToolDefinition<Input, Output> {
  return tool;
}

/** A prompt whose handler's input type comes from its schema. */
export function definePrompt<const Arguments extends AnySchema>(
  prompt: PromptDefinition<Arguments>,
): PromptDefinition<Arguments> {
  return prompt;
}

/** A resource with a fixed URI. */
export function defineResource(resource: ResourceDefinition): ResourceDefinition {
  return resource;
}

/** A family of resources behind one URI template. */
export function defineResourceTemplate(template: ResourceTemplateDefinition): ResourceTemplateDefinition {
  return template;
}

/**
 * One server, for `mooring start` and `createHost`.
 *
 * @throws TypeError when the host compiles it: a duplicate name, a bad URI template, a schema that cannot be told
 *   as JSON Schema or does not describe an object
 */
export function defineServer(input: ServerDefinitionInput): ServerDefinition {
  return Object.freeze({ kind: 'mooring.server-definition', input: Object.freeze({ ...input }) });
}

/** Whether a module's export came from `defineServer`, of this copy of the package or another. */
export function isServerDefinition(value: unknown): value is ServerDefinition {
  return (
    typeof value === 'object' &&
    value !== null &&
    'kind' in value &&
    value.kind === 'mooring.server-definition'
  );
}
