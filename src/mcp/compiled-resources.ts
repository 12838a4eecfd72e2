import { ProtocolError, protocolErrorCodes } from '../errors.ts';
import { CallContext } from './call-context.ts';
import type { Exchange } from './dispatch-target.ts';
import { failuresOf } from './handler-failure.ts';
import { parseCursor, renderCursor } from './pages.ts';
import { progressTokenOf } from './request-meta.ts';
import { noCache, type ResultText } from './result-text.ts';
import type {
  CacheHint,
  Completer,
  ResourceContent,
  ResourceDefinition,
  ResourceReturn,
  ResourceTemplateDefinition,
} from './server-definition.ts';
import { compileUriTemplate, type UriTemplate } from './uri-template.ts';

interface CompiledTemplate {
  readonly definition: ResourceTemplateDefinition;
  readonly uri: UriTemplate;
}

/** The resources of one server. */
export interface CompiledResources {
  /** Templates as listed. */
  readonly listedTemplates: readonly Readonly<Record<string, unknown>>[];
  readonly isEmpty: boolean;
  /** Answers `resources/list`: the fixed ones first, then each template's own pages. */
  list(params: Readonly<Record<string, unknown>>, exchange: Exchange): Promise<string>;
  /** Answers `resources/read`. */
  read(params: Readonly<Record<string, unknown>>, exchange: Exchange): Promise<string>;
  /** The completers of a template, by its exact text; `undefined` when there is no such template or resource. */
  completersOf(uri: string): Readonly<Record<string, Completer>> | undefined;
}

/** What a server's resources are made of. */
export interface ResourceParts {
  readonly resources: readonly ResourceDefinition[];
  readonly templates: readonly ResourceTemplateDefinition[];
  readonly pageSize: number;
}

/** @throws TypeError for a duplicate URI or template, or a template that cannot be matched */
export function compileResources(
  { resources, templates, pageSize }: ResourceParts,
  resultText: ResultText,
): CompiledResources {
  const fixed = new Map<string, ResourceDefinition>();
  for (const resource of resources) {
    if (fixed.has(resource.uri)) throw new TypeError(`resource "${resource.uri}" is defined twice`);
    if (!URL.canParse(resource.uri))
      throw new TypeError(`resource "${resource.uri}": the URI must be absolute`);
    fixed.set(resource.uri, resource);
  }
  const families = new Map<string, CompiledTemplate>();
  for (const definition of templates) {
    if (families.has(definition.uriTemplate))
      throw new TypeError(`resource template "${definition.uriTemplate}" is defined twice`);
    families.set(definition.uriTemplate, { definition, uri: compileUriTemplate(definition.uriTemplate) });
  }
  return {
    listedTemplates: templates.map(({ uriTemplate, ...rest }) => ({ uriTemplate, ...toListed(rest) })),
    isEmpty: fixed.size === 0 && families.size === 0,
    list: createLister([...fixed.values()], [...families.values()], pageSize, resultText),
    read: createReader(fixed, [...families.values()], resultText),
    completersOf: (uri) =>
      families.get(uri)?.definition.complete ?? (families.has(uri) || fixed.has(uri) ? {} : undefined),
  };
}

function createLister(
  fixed: readonly ResourceDefinition[],
  families: readonly CompiledTemplate[],
  pageSize: number,
  resultText: ResultText,
): CompiledResources['list'] {
  const fixedPages = toPages(
    fixed.map(({ uri, size, ...rest }) => ({ uri, size, ...toListed(rest) })),
    pageSize,
  );
  const listers = families.flatMap(({ definition }) => (definition.list === undefined ? [] : [definition]));
  const parts = fixedPages.length + listers.length;
  return async (params, exchange) => {
    const { part, inner } = parseCursor('resources', params['cursor'], parts);
    const { resources, innerNext } = await listPart(part, inner);
    const next = innerNext === undefined ? { part: part + 1, inner: undefined } : { part, inner: innerNext };
    return resultText.complete(
      exchange.era,
      { resources, ...(next.part < parts ? { nextCursor: renderCursor('resources', next) } : {}) },
      noCache,
    );

    async function listPart(
      at: number,
      cursor: string | undefined,
    ): Promise<{ resources: readonly unknown[]; innerNext?: string }> {
      const page = fixedPages[at];
      if (page !== undefined) return { resources: page };
      const definition = listers[at - fixedPages.length];
      if (definition?.list === undefined) return { resources: [] };
      const { list } = definition;
      const listed = await failuresOf(`list of ${definition.name}`, () =>
        list(new CallContext(exchange), cursor),
      );
      return {
        resources: listed.resources,
        ...(listed.nextCursor === undefined ? {} : { innerNext: listed.nextCursor }),
      };
    }
  };
}

function createReader(
  fixed: ReadonlyMap<string, ResourceDefinition>,
  families: readonly CompiledTemplate[],
  resultText: ResultText,
): CompiledResources['read'] {
  return async (params, exchange) => {
    const { uri } = params;
    if (typeof uri !== 'string')
      throw new ProtocolError(protocolErrorCodes.invalidParams, 'Invalid params: uri must be a string');
    const context = new CallContext(exchange, { uri, progressToken: progressTokenOf(params) });
    const resource = fixed.get(uri);
    if (resource !== undefined) {
      await exchange.enter();
      const returned = await failuresOf(`resource ${resource.name}`, () => resource.read(context));
      return renderContents(returned, uri, resource, exchange);
    }
    for (const { definition, uri: template } of families) {
      const variables = template.match(uri);
      if (variables === undefined) continue;
      await exchange.enter();
      const returned = await failuresOf(`resource ${definition.name}`, () =>
        definition.read(variables, context),
      );
      if (returned !== undefined) return renderContents(returned, uri, definition, exchange);
    }
    throw toNotFound(uri, exchange);
  };

  function renderContents(
    returned: ResourceReturn,
    uri: string,
    { mimeType, cache }: { readonly mimeType?: string; readonly cache?: CacheHint },
    exchange: Exchange,
  ): string {
    if (returned === undefined) throw toNotFound(uri, exchange);
    const pieces: readonly ResourceContent[] =
      typeof returned === 'string' ? [{ text: returned }] : isPieces(returned) ? returned : [returned];
    return resultText.complete(
      exchange.era,
      { contents: pieces.map((piece) => toContents(piece, uri, mimeType)) },
      cache ?? noCache,
    );
  }
}

function toContents(
  piece: ResourceContent,
  uri: string,
  mimeType: string | undefined,
): Readonly<Record<string, unknown>> {
  const common = { uri: piece.uri ?? uri, mimeType: piece.mimeType ?? mimeType, _meta: piece._meta };
  if ('text' in piece) return { ...common, text: piece.text };
  const { blob } = piece;
  return { ...common, blob: typeof blob === 'string' ? blob : Buffer.from(blob).toString('base64') };
}

function isPieces(
  returned: ResourceContent | readonly ResourceContent[],
): returned is readonly ResourceContent[] {
  return Array.isArray(returned);
}

/** @see MCP 2026-07-28 and 2025-11-25, Resources, Error Handling: the code changed between the eras */
function toNotFound(uri: string, { era }: Exchange): ProtocolError {
  const code = era === 'modern' ? protocolErrorCodes.invalidParams : protocolErrorCodes.resourceNotFound;
  return new ProtocolError(code, 'Resource not found', { uri });
}

function toListed(
  definition:
    | Omit<ResourceTemplateDefinition, 'uriTemplate' | 'read'>
    | Omit<ResourceDefinition, 'uri' | 'read'>,
): object {
  const { name, title, description, icons, mimeType, annotations, _meta } = definition;
  return { name, title, description, icons, mimeType, annotations, _meta };
}

/** Splits a fixed list; an empty list has no pages. */
export function toPages<Item>(items: readonly Item[], pageSize: number): readonly (readonly Item[])[] {
  const pages: (readonly Item[])[] = [];
  for (let at = 0; at < items.length; at += pageSize) pages.push(items.slice(at, at + pageSize));
  return pages;
}
