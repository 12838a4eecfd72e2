/**
 * A server definition, compiled once per process into the tables that requests are looked up in. Lists that do not
 * depend on the caller are rendered here, so that listing and calling cost the same however many tools there are.
 */
import { ProtocolError, protocolErrorCodes } from '../errors.ts';
import { CallContext } from './call-context.ts';
import { compilePrompts, type CompiledPrompts } from './compiled-prompts.ts';
import { compileResources, toPages, type CompiledResources } from './compiled-resources.ts';
import { compileTools } from './compiled-tools.ts';
import type { DispatchTarget, Exchange, FeatureRequest } from './dispatch-target.ts';
import { failuresOf } from './handler-failure.ts';
import { isRecord } from './json-rpc.ts';
import { parseCursor, renderCursor } from './pages.ts';
import type { Implementation, ServerCapabilities } from './protocol-types.ts';
import { createResultText, noCache, type ResultText } from './result-text.ts';
import { compileScopes } from './scope-rules.ts';
import type { CacheHint, Completer, ServerDefinition, ServerDefinitionInput } from './server-definition.ts';

type Answer = (params: Readonly<Record<string, unknown>>, exchange: Exchange) => Promise<string>;

/** Most values in one completion. MCP 2026-07-28, Completion, Data Types. */
export const maxCompletionValues = 100;

const defaultPageSize = 1000;

/** @throws TypeError naming what in the definition cannot be served */
export function compileServer({ input: definition }: ServerDefinition): DispatchTarget {
  const serverInfo = toServerInfo(definition);
  const resultText = createResultText(serverInfo);
  const pageSize = definition.pageSize ?? defaultPageSize;
  if (!Number.isInteger(pageSize) || pageSize < 1)
    throw new TypeError(`pageSize must be a positive integer, got ${pageSize}`);
  const cache = definition.cache ?? noCache;
  const tools = compileTools(definition.tools ?? [], resultText);
  const prompts = compilePrompts(definition.prompts ?? [], resultText);
  const templates = definition.resourceTemplates ?? [];
  const resources = compileResources(
    { resources: definition.resources ?? [], templates, pageSize },
    resultText,
  );
  const list = (field: string, items: readonly unknown[]): Answer =>
    createFixedList(field, toPages(items, pageSize), cache, resultText);

  const methods = new Map<string, Answer>();
  if (tools.listed.length > 0)
    methods.set('tools/call', tools.call).set('tools/list', list('tools', tools.listed));
  if (prompts.listed.length > 0)
    methods.set('prompts/get', prompts.get).set('prompts/list', list('prompts', prompts.listed));
  if (!resources.isEmpty) {
    methods.set('resources/read', resources.read).set('resources/list', resources.list);
    methods.set('resources/templates/list', list('resourceTemplates', resources.listedTemplates));
  }
  const hasCompleters = [...(definition.prompts ?? []), ...templates].some(
    ({ complete }) => complete !== undefined,
  );
  if (hasCompleters) methods.set('completion/complete', createCompletion(prompts, resources, resultText));

  return {
    serverInfo,
    instructions: definition.instructions,
    capabilities: toCapabilities(methods),
    discoveryCache: cache,
    scopes: compileScopes(definition),
    dispatch: (request: FeatureRequest, exchange: Exchange) => {
      const answer = methods.get(request.method);
      if (answer === undefined) {
        return Promise.reject(
          new ProtocolError(
            protocolErrorCodes.methodNotFound,
            `Method not found: ${request.method.slice(0, 128)}`,
          ),
        );
      }
      return answer(request.params, exchange);
    },
    close: async () => {
      await definition.close?.();
    },
  };
}

function createFixedList(
  field: string,
  pages: readonly (readonly unknown[])[],
  cache: CacheHint,
  resultText: ResultText,
): Answer {
  const count = Math.max(pages.length, 1);
  const texts = Array.from({ length: count }, (_, part) => {
    const nextCursor =
      part + 1 < count ? { nextCursor: renderCursor(field, { part: part + 1, inner: undefined }) } : {};
    const result = { [field]: pages[part] ?? [], ...nextCursor };
    return {
      modern: resultText.complete('modern', result, cache),
      legacy: resultText.complete('legacy', result),
    };
  });
  return async (params, { era }) => {
    const { part } = parseCursor(field, params['cursor'], count);
    // `parseCursor` has checked the part against this very count.
    return (texts[part] as (typeof texts)[number])[era];
  };
}

function createCompletion(
  prompts: CompiledPrompts,
  resources: CompiledResources,
  resultText: ResultText,
): Answer {
  return async (params, exchange) => {
    const { ref, argument, context: given } = params;
    if (
      !isRecord(ref) ||
      !isRecord(argument) ||
      typeof argument['name'] !== 'string' ||
      typeof argument['value'] !== 'string'
    ) {
      throw new ProtocolError(
        protocolErrorCodes.invalidParams,
        'Invalid params: ref and argument { name, value } are required',
      );
    }
    const completer = findCompleter(ref, argument['name'], prompts, resources);
    if (completer === undefined)
      return resultText.complete(exchange.era, { completion: { values: [], hasMore: false } });
    const chosen = isRecord(given) && isRecord(given['arguments']) ? given['arguments'] : {};
    const context = new CallContext(exchange, { arguments: onlyStrings(chosen) });
    const typed = argument['value'];
    const returned = await failuresOf('completion', () => completer(typed, context));
    return resultText.complete(exchange.era, { completion: toCompletion(returned) });
  };
}

function toCompletion(returned: Awaited<ReturnType<Completer>>): object {
  const { values, total, hasMore } = isPlainList(returned)
    ? { values: returned, total: returned.length, hasMore: undefined }
    : returned;
  return {
    values: values.slice(0, maxCompletionValues),
    total,
    hasMore: hasMore ?? values.length > maxCompletionValues,
  };
}

function isPlainList(returned: Awaited<ReturnType<Completer>>): returned is readonly string[] {
  return Array.isArray(returned);
}

function findCompleter(
  ref: Readonly<Record<string, unknown>>,
  argument: string,
  prompts: CompiledPrompts,
  resources: CompiledResources,
): Completer | undefined {
  const { type, name, uri } = ref;
  const completers =
    type === 'ref/prompt' && typeof name === 'string'
      ? prompts.completersOf(name)
      : type === 'ref/resource' && typeof uri === 'string'
        ? resources.completersOf(uri)
        : undefined;
  if (completers === undefined) {
    throw new ProtocolError(
      protocolErrorCodes.invalidParams,
      'Invalid params: ref names no prompt or resource template of this server',
    );
  }
  return Object.hasOwn(completers, argument) ? completers[argument] : undefined;
}

function onlyStrings(record: Readonly<Record<string, unknown>>): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(record).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
}

function toServerInfo({
  name,
  version,
  title,
  description,
  websiteUrl,
  icons,
}: ServerDefinitionInput): Implementation {
  return {
    name,
    version,
    ...(title === undefined ? {} : { title }),
    ...(description === undefined ? {} : { description }),
    ...(websiteUrl === undefined ? {} : { websiteUrl }),
    ...(icons === undefined ? {} : { icons: [...icons] }),
  };
}

function toCapabilities(methods: ReadonlyMap<string, Answer>): ServerCapabilities {
  return {
    logging: {},
    ...(methods.has('tools/call') ? { tools: { listChanged: true } } : {}),
    ...(methods.has('prompts/get') ? { prompts: { listChanged: true } } : {}),
    ...(methods.has('resources/read') ? { resources: { subscribe: true, listChanged: true } } : {}),
    ...(methods.has('completion/complete') ? { completions: {} } : {}),
  };
}
