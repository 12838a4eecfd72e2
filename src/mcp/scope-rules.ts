/**
 * Which scopes a caller needs for which request, from the definition. Not checked here: whether a caller has them.
 * That is for the transport, which knows how to say so.
 */
import type { FeatureRequest } from './dispatch-target.ts';
import { isRecord } from './json-rpc.ts';
import type { Guarded, ServerDefinitionInput } from './server-definition.ts';
import { compileUriTemplate, type UriTemplate } from './uri-template.ts';

/** The scopes of one server. */
export interface ScopeRules {
  /** What every request needs: the least that makes the server usable. */
  readonly base: readonly string[];
  /** Every scope that anything in the server needs, and in words what it allows, where the author said so. */
  readonly described: ReadonlyMap<string, string | undefined>;
  /** Everything that one request needs, `base` included. A request that names nothing we have needs `base`. */
  toNeeded(request: FeatureRequest): readonly string[];
}

// RFC 6749, section 3.3, scope-token. Commas and `*` mean something in keys.
const scopeToken = /^[A-Za-z0-9._:/-]{1,128}$/;

const nothing: readonly string[] = Object.freeze([]);

/** @throws TypeError for text that cannot be a scope, or a description of one that nothing needs */
export function compileScopes(definition: ServerDefinitionInput): ScopeRules {
  const { baseScopes = nothing, scopeDescriptions = {}, tools = [], prompts = [] } = definition;
  const { resources = [], resourceTemplates = [] } = definition;
  const base = Object.freeze([...baseScopes]);
  const byTool = toTable(base, tools);
  const byPrompt = toTable(base, prompts);
  const byUri = new Map(resources.map(({ uri, scopes }) => [uri, union(base, scopes)]));
  const families = resourceTemplates.map(({ uriTemplate, scopes }) => ({
    uriTemplate,
    uri: compileUriTemplate(uriTemplate),
    scopes: union(base, scopes),
  }));
  const areResourcesGuarded = [...resources, ...resourceTemplates].some(
    ({ scopes }) => scopes !== undefined && scopes.length > 0,
  );

  const toUriScopes = (uri: unknown): readonly string[] => {
    if (!areResourcesGuarded || typeof uri !== 'string') return base;
    const fixed = byUri.get(uri);
    if (fixed !== undefined) return fixed;
    // A reader that finds nothing leaves the URI to the next family that matches it.
    return families.reduce(
      (needed, family) => (matches(family, uri) ? union(needed, family.scopes) : needed),
      base,
    );
  };

  const toCompletionScopes = (ref: unknown): readonly string[] => {
    if (!isRecord(ref)) return base;
    if (ref['type'] === 'ref/prompt') return byPrompt.get(ref['name']) ?? base;
    const family = families.find(({ uriTemplate }) => uriTemplate === ref['uri']);
    return family?.scopes ?? toUriScopes(ref['uri']);
  };

  const toListenScopes = (wanted: unknown): readonly string[] => {
    const uris = isRecord(wanted) ? wanted['resourceSubscriptions'] : undefined;
    if (!areResourcesGuarded || !Array.isArray(uris)) return base;
    return uris.reduce((needed: readonly string[], uri: unknown) => union(needed, toUriScopes(uri)), base);
  };

  return {
    base,
    described: toDescribed(
      [
        base,
        ...byTool.values(),
        ...byPrompt.values(),
        ...byUri.values(),
        ...families.map(({ scopes }) => scopes),
      ],
      scopeDescriptions,
    ),
    toNeeded: ({ method, params }) => {
      switch (method) {
        case 'tools/call':
          return byTool.get(params['name']) ?? base;
        case 'prompts/get':
          return byPrompt.get(params['name']) ?? base;
        case 'resources/read':
        case 'resources/subscribe':
          return toUriScopes(params['uri']);
        case 'completion/complete':
          return toCompletionScopes(params['ref']);
        case 'subscriptions/listen':
          return toListenScopes(params['notifications']);
        default:
          return base;
      }
    },
  };
}

/** By what a request names, which may be anything. */
function toTable(
  base: readonly string[],
  things: readonly (Guarded & { readonly name: string })[],
): ReadonlyMap<unknown, readonly string[]> {
  return new Map(things.map(({ name, scopes }) => [name, union(base, scopes)]));
}

function union(some: readonly string[], more: readonly string[] | undefined): readonly string[] {
  if (more === undefined || more.every((scope) => some.includes(scope))) return some;
  return Object.freeze([...new Set([...some, ...more])]);
}

function matches({ uri }: { readonly uri: UriTemplate }, given: string): boolean {
  return uri.match(given) !== undefined;
}

function toDescribed(
  groups: readonly (readonly string[])[],
  descriptions: Readonly<Record<string, string>>,
): ReadonlyMap<string, string | undefined> {
  const all = new Set(groups.flat());
  for (const scope of all) {
    if (!scopeToken.test(scope))
      throw new TypeError(`scope "${scope}": a scope is 1 to 128 of A-Z a-z 0-9 . _ : / -`);
  }
  for (const scope of Object.keys(descriptions)) {
    if (!all.has(scope)) throw new TypeError(`scopeDescriptions: nothing in this server needs "${scope}"`);
  }
  return new Map([...all].map((scope) => [scope, descriptions[scope]]));
}
