/**
 * Every path this host answers, one row each. A row states all that the pipeline needs to know about it: there is no
 * list of paths to skip anywhere else.
 */
import type { HttpReply, HttpRequest } from './messages.ts';

/** Answers one request. */
export type RouteHandler = (request: HttpRequest) => HttpReply | Promise<HttpReply>;

/** One row. */
export interface Route {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Exact, or with `{name}` for one segment. */
  readonly path: string;
  /** `principal`: only with a valid credential. */
  readonly auth: 'none' | 'principal';
  /** 0: takes no body. */
  readonly maxBodyBytes: number;
  /**
   * Whether web pages of allowed origins may call it; `any`: pages of every origin, for what knows its callers by
   * nothing that a browser adds by itself.
   */
  readonly cors: boolean | 'any';
  /** `any` for what a load balancer asks for by address; it must tell nothing worth a DNS rebinding. */
  readonly host: 'allowed' | 'any';
  readonly handler: RouteHandler;
}

/** All rows of one path. */
export interface PathEntry {
  /** As in the table: safe to log. */
  readonly pattern: string;
  readonly cors: boolean | 'any';
  readonly host: 'allowed' | 'any';
  readonly methods: ReadonlyMap<string, Route>;
  /** Value of `Allow`. */
  readonly allow: string;
}

/** What a path names. */
export interface PathMatch {
  readonly entry: PathEntry;
  /** Absent for an exact path. */
  readonly parameters: Readonly<Record<string, string>> | undefined;
}

/** Rows by path. */
export interface RouteTable {
  readonly routes: readonly Route[];
  /** One lookup; nearly every request ends here. */
  findExact(path: string): PathEntry | undefined;
  /** For paths with `{name}` segments, when there is no exact one. */
  findPattern(path: string): PathMatch | undefined;
}

/** The handlers that the table mounts. Tests mount others. */
export interface RouteHandlers {
  readonly mcp: { readonly post: RouteHandler; readonly get: RouteHandler; readonly delete: RouteHandler };
  readonly keys: {
    readonly list: RouteHandler;
    readonly create: RouteHandler;
    readonly update: RouteHandler;
    readonly revoke: RouteHandler;
    readonly rotate: RouteHandler;
  };
  readonly health: RouteHandler;
  readonly ready: RouteHandler;
  readonly resourceMetadata: RouteHandler;
  /** Absent where the host is no authorization server. */
  readonly oauth?: OauthHandlers;
  /** Absent where no issuer is trusted for identity tokens. */
  readonly tokenService?: TokenServiceHandlers;
}

/** The handlers of the token service. */
export interface TokenServiceHandlers {
  readonly exchange: RouteHandler;
  readonly refresh: RouteHandler;
  /** Mounted where the authorization server does not publish the same keys. */
  readonly jwks: RouteHandler;
}

/** The handlers of the authorization server. */
export interface OauthHandlers {
  readonly authorize: RouteHandler;
  readonly resume: RouteHandler;
  readonly interaction: {
    readonly show: RouteHandler;
    readonly decide: RouteHandler;
    readonly comeBack: RouteHandler;
  };
  readonly callback: RouteHandler;
  readonly token: RouteHandler;
  readonly register: RouteHandler;
  readonly revoke: RouteHandler;
  readonly jwks: RouteHandler;
  readonly metadata: RouteHandler;
}

/** What the table depends on beside handlers. */
export interface RouteOptions {
  readonly maxMcpBodyBytes: number;
  /** From `toResourceMetadataPath`: below the public URL's own path when it has one. */
  readonly resourceMetadataPath: string;
}

const maxKeyBodyBytes = 16 * 1024;
const maxOauthBodyBytes = 64 * 1024;
const maxTokenBodyBytes = 32 * 1024;
const metadata = '/.well-known/oauth-protected-resource';

/** The table of this host. */
export function createRoutes(handlers: RouteHandlers, options: RouteOptions): RouteTable {
  const { mcp, keys, health, ready, resourceMetadata } = handlers;
  const maxBodyBytes = options.maxMcpBodyBytes;
  const guarded = { auth: 'principal', cors: true, host: 'allowed' } as const;
  const open = { auth: 'none', maxBodyBytes: 0, cors: true, host: 'allowed' } as const;
  const probe = { auth: 'none', maxBodyBytes: 0, cors: false, host: 'any' } as const;
  const metadataPaths = new Set([metadata, `${metadata}/mcp`, options.resourceMetadataPath]);
  return toRouteTable([
    { method: 'POST', path: '/mcp', ...guarded, maxBodyBytes, handler: mcp.post },
    { method: 'GET', path: '/mcp', ...guarded, maxBodyBytes: 0, handler: mcp.get },
    { method: 'DELETE', path: '/mcp', ...guarded, maxBodyBytes: 0, handler: mcp.delete },
    { method: 'GET', path: '/mcp/keys', ...guarded, maxBodyBytes: 0, handler: keys.list },
    { method: 'POST', path: '/mcp/keys', ...guarded, maxBodyBytes: maxKeyBodyBytes, handler: keys.create },
    {
      method: 'PATCH',
      path: '/mcp/keys/{id}',
      ...guarded,
      maxBodyBytes: maxKeyBodyBytes,
      handler: keys.update,
    },
    {
      method: 'DELETE',
      path: '/mcp/keys/{id}',
      ...guarded,
      maxBodyBytes: maxKeyBodyBytes,
      handler: keys.revoke,
    },
    {
      method: 'POST',
      path: '/mcp/keys/{id}/rotate',
      ...guarded,
      maxBodyBytes: maxKeyBodyBytes,
      handler: keys.rotate,
    },
    { method: 'GET', path: '/health', ...probe, handler: health },
    { method: 'HEAD', path: '/health', ...probe, handler: health },
    { method: 'GET', path: '/ready', ...probe, handler: ready },
    { method: 'HEAD', path: '/ready', ...probe, handler: ready },
    ...[...metadataPaths].flatMap((path): Route[] => [
      { method: 'GET', path, ...open, handler: resourceMetadata },
      { method: 'HEAD', path, ...open, handler: resourceMetadata },
    ]),
    ...(handlers.oauth === undefined ? [] : toOauthRows(handlers.oauth)),
    ...toTokenServiceRows(handlers),
  ]);
}

/** What is presented there is a token, which no browser adds by itself; pages of allowed origins may ask all the same. */
function toTokenServiceRows({ tokenService, oauth }: RouteHandlers): readonly Route[] {
  if (tokenService === undefined) return [];
  const row = {
    method: 'POST',
    auth: 'none',
    maxBodyBytes: maxTokenBodyBytes,
    cors: true,
    host: 'allowed',
  } as const;
  const jwks = { auth: 'none', maxBodyBytes: 0, cors: 'any', host: 'allowed' } as const;
  return [
    { ...row, path: '/mcp/token', handler: tokenService.exchange },
    { ...row, path: '/mcp/token/refresh', handler: tokenService.refresh },
    ...(oauth === undefined
      ? [{ ...jwks, method: 'GET' as const, path: '/oauth/jwks', handler: tokenService.jwks }]
      : []),
  ];
}

/**
 * What programs ask the authorization server may be asked from every page: a browser adds nothing by itself that counts
 * there. Pages for people are of this origin alone.
 */
function toOauthRows(oauth: OauthHandlers): readonly Route[] {
  const program = { auth: 'none', maxBodyBytes: maxOauthBodyBytes, cors: 'any', host: 'allowed' } as const;
  const document = { ...program, maxBodyBytes: 0 } as const;
  const page = { auth: 'none', maxBodyBytes: maxOauthBodyBytes, cors: false, host: 'allowed' } as const;
  const interaction = '/oauth/interaction/{uid}';
  return [
    { method: 'GET', path: '/.well-known/oauth-authorization-server', ...document, handler: oauth.metadata },
    { method: 'GET', path: '/.well-known/openid-configuration', ...document, handler: oauth.metadata },
    { method: 'GET', path: '/oauth/jwks', ...document, handler: oauth.jwks },
    { method: 'POST', path: '/oauth/register', ...program, handler: oauth.register },
    { method: 'POST', path: '/oauth/token', ...program, handler: oauth.token },
    { method: 'POST', path: '/oauth/revoke', ...program, handler: oauth.revoke },
    { method: 'GET', path: '/oauth/authorize', ...page, maxBodyBytes: 0, handler: oauth.authorize },
    { method: 'POST', path: '/oauth/authorize', ...page, handler: oauth.authorize },
    { method: 'GET', path: '/oauth/authorize/{uid}', ...page, maxBodyBytes: 0, handler: oauth.resume },
    { method: 'GET', path: interaction, ...page, maxBodyBytes: 0, handler: oauth.interaction.show },
    { method: 'POST', path: interaction, ...page, handler: oauth.interaction.decide },
    {
      method: 'GET',
      path: `${interaction}/callback`,
      ...page,
      maxBodyBytes: 0,
      handler: oauth.interaction.comeBack,
    },
    { method: 'GET', path: '/oauth/callback', ...page, maxBodyBytes: 0, handler: oauth.callback },
  ];
}

/**
 * Rows made ready for lookup.
 *
 * @throws TypeError two rows for one method and path, or rows of one path that differ in `cors` or `host`
 */
export function toRouteTable(routes: readonly Route[]): RouteTable {
  const exact = new Map<string, PathEntry>();
  const patterns: { readonly segments: readonly string[]; readonly entry: PathEntry }[] = [];
  for (const path of new Set(routes.map((route) => route.path))) {
    const entry = toPathEntry(
      path,
      routes.filter((route) => route.path === path),
    );
    if (path.includes('{')) patterns.push({ segments: path.split('/'), entry });
    else exact.set(path, entry);
  }
  return {
    routes,
    findExact: (path) => exact.get(path),
    findPattern(path) {
      const segments = path.split('/', maxSegments);
      for (const pattern of patterns) {
        const parameters = matchSegments(pattern.segments, segments);
        if (parameters) return { entry: pattern.entry, parameters };
      }
      return undefined;
    },
  };
}

const maxSegments = 16;
const maxParameterLength = 256;

function toPathEntry(path: string, rows: readonly Route[]): PathEntry {
  const [first] = rows;
  const methods = new Map(rows.map((row) => [row.method as string, row]));
  if (!first || methods.size !== rows.length) throw new TypeError(`two rows for one method of ${path}`);
  if (rows.some((row) => row.cors !== first.cors || row.host !== first.host)) {
    throw new TypeError(`the rows of ${path} must agree on cors and host`);
  }
  return {
    pattern: path,
    cors: first.cors,
    host: first.host,
    methods,
    allow: [...methods.keys(), ...(first.cors === false ? [] : ['OPTIONS'])].join(', '),
  };
}

function matchSegments(
  pattern: readonly string[],
  segments: readonly string[],
): Record<string, string> | undefined {
  if (pattern.length !== segments.length) return undefined;
  const parameters: Record<string, string> = {};
  for (const [index, expected] of pattern.entries()) {
    const found = segments[index] ?? '';
    if (!expected.startsWith('{')) {
      if (found !== expected) return undefined;
      continue;
    }
    const value = decodeSegment(found);
    if (!value) return undefined;
    parameters[expected.slice(1, -1)] = value;
  }
  return parameters;
}

function decodeSegment(segment: string): string | undefined {
  if (segment.length > maxParameterLength) return undefined;
  try {
    return decodeURIComponent(segment);
  } catch {
    return undefined;
  }
}
