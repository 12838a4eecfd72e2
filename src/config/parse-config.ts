import { resolve } from 'node:path';
import { ConfigError, type ConfigProblem } from '../errors.ts';
import type { Config, Secrets, SettingValues } from './config.ts';
import { isLoopback, isWildcard, loopbackNames } from './loopback.ts';
import { type Parsing, parseSetting } from './parse-setting.ts';
import { Secret } from './secret.ts';
import type { Setting } from './setting.ts';
import { settings } from './settings.ts';

/**
 * A setting as it was given, or why it could not be read; and where, for the text of a problem: a variable, a flag,
 * or a key in a named file.
 */
export type RawSetting =
  | { readonly from: string; readonly value: unknown }
  | { readonly from: string; readonly problem: string };

/** What `parseConfig` needs beside the settings. */
export interface ParseConfigOptions {
  /** What was given, by the name in the table. */
  readonly raw: ReadonlyMap<string, RawSetting>;
  /** Problems that were found while gathering and belong to no setting. */
  readonly problems?: readonly ConfigProblem[];
  readonly workingDir: string;
  /** Makes a key of this many bytes when none is configured. */
  readonly randomBytes: (size: number) => Uint8Array;
}

/** A configuration and its secrets, apart, so that the first can be shown. */
export interface ParsedConfig {
  readonly config: Config;
  readonly secrets: Secrets;
}

const encryptionKeyBytes = 32;

/**
 * Checks every setting and what they say together.
 *
 * @throws ConfigError with every problem, each setting at most once
 */
export function parseConfig(options: ParseConfigOptions): ParsedConfig {
  const problems = [...(options.problems ?? [])];
  const failed = new Set<string>();
  const parsed = new Map<string, Map<string, unknown>>();
  for (const [group, rows] of Object.entries(settings)) {
    const values = new Map<string, unknown>();
    parsed.set(group, values);
    for (const [name, setting] of Object.entries<Setting>(rows)) {
      const given = options.raw.get(name);
      const parsing =
        given === undefined
          ? ({ kind: 'value', value: toDefault(setting) } as const)
          : parseRaw(setting, given);
      if (parsing.kind === 'problem') {
        problems.push({ setting: given?.from ?? setting.variable, problem: parsing.problem });
        failed.add(name);
      }
      values.set(name, parsing.kind === 'value' ? parsing.value : toDefault(setting));
    }
  }
  // Each row was parsed by its own kind, which is what the mapped types say.
  const values = Object.fromEntries(
    [...parsed].map(([group, rows]) => [group, Object.fromEntries(rows)]),
  ) as unknown as Values;
  problems.push(...checkTogether(values, options.raw, failed));
  if (problems.length > 0) throw new ConfigError(problems);
  return { config: toConfig(values, options.workingDir), secrets: toSecrets(values, options.randomBytes) };
}

interface SecretValues {
  readonly storage: { readonly databaseUrl: string | undefined; readonly redisUrl: string | undefined };
  readonly credentials: { readonly encryptionKeys: readonly string[] };
  readonly upstream: { readonly upstreamClientSecret: string };
}

type Values = SettingValues & SecretValues;

function parseRaw(setting: Setting, given: RawSetting): Parsing<unknown> {
  return 'problem' in given
    ? { kind: 'problem', problem: given.problem }
    : parseSetting(setting, given.value);
}

function toDefault(setting: Setting): unknown {
  if (setting.kind === 'list' || setting.kind === 'issuers') return [];
  return setting.kind === 'url' || setting.kind === 'redis-url' ? undefined : setting.default;
}

/** What settings say together; told of the first of them. */
interface TogetherRule {
  readonly of: readonly string[];
  readonly isBroken: boolean;
  readonly problem: string;
}

/** Rules between settings. A rule over a setting that is wrong in itself is left out: its problem is already told. */
function checkTogether(
  values: Values,
  raw: ReadonlyMap<string, RawSetting>,
  failed: ReadonlySet<string>,
): readonly ConfigProblem[] {
  const { server, storage, credentials, edge, sessions, signIn } = values;
  const isHttp = server.transport === 'http';
  // What one instance seals, others and later ones must open.
  const isIssuer = isHttp && signIn.auth === 'oauth';
  const isSigning =
    signIn.auth === 'oauth' || values.tokens.trustedIssuers.some(({ uses }) => uses.includes('identity'));
  const isSignInShared = isSigning && storage.databaseUrl !== undefined;
  const needsKey =
    credentials.environment === 'production' || storage.redisUrl !== undefined || isSignInShared;
  const rules: readonly TogetherRule[] = [
    {
      of: ['instances', 'redisUrl', 'transport'],
      isBroken: isHttp && server.instances > 1 && storage.redisUrl === undefined,
      problem: `${server.instances} instances need REDIS_URL: without it each would keep sessions of its own`,
    },
    {
      of: ['encryptionKeys', 'environment', 'redisUrl', 'transport', 'auth', 'databaseUrl', 'trustedIssuers'],
      isBroken: isHttp && needsKey && credentials.encryptionKeys.length === 0,
      problem:
        'required with REDIS_URL, with DATABASE_URL where AUTH=oauth or an issuer is trusted for identity tokens, and when NODE_ENV=production: 64 hexadecimal digits, the same for every instance, e.g. from `openssl rand -hex 32`',
    },
    {
      of: ['publicUrl', 'host', 'transport'],
      isBroken: isHttp && isWildcard(server.host) && server.publicUrl === undefined,
      problem: `required when HOST is ${server.host}: the URL that clients use, e.g. https://mcp.example.com`,
    },
    {
      of: ['publicUrl', 'auth', 'transport'],
      isBroken: isIssuer && server.publicUrl !== undefined && new URL(server.publicUrl).pathname !== '/',
      problem: 'must have no path with AUTH=oauth: it is the issuer, whose metadata is at the root',
    },
    {
      of: ['publicUrl', 'auth', 'transport'],
      isBroken: isIssuer && server.publicUrl !== undefined && isPlain(new URL(server.publicUrl)),
      problem:
        'must be https with AUTH=oauth, or on loopback: passwords and tokens go there. OAuth 2.1, section 1.5',
    },
    ...toUpstreamRules(values),
    {
      of: ['allowAnyOrigin', 'allowedOrigins'],
      isBroken: edge.allowAnyOrigin && edge.allowedOrigins.length > 0,
      problem: 'contradicts ALLOWED_ORIGINS: set one of them',
    },
    {
      of: ['headersTimeoutMs', 'requestTimeoutMs'],
      isBroken: edge.headersTimeoutMs > edge.requestTimeoutMs,
      problem: `must not be longer than REQUEST_TIMEOUT_MS (${edge.requestTimeoutMs})`,
    },
    {
      of: ['sessionIdleTtlSeconds', 'sessionMaxTtlSeconds'],
      isBroken: sessions.sessionIdleTtlSeconds > sessions.sessionMaxTtlSeconds,
      problem: `must not be longer than SESSION_MAX_TTL_SECONDS (${sessions.sessionMaxTtlSeconds})`,
    },
  ];
  const broken = rules.filter(({ of, isBroken }) => isBroken && !of.some((name) => failed.has(name)));
  return broken
    .filter(({ of: [about] }, index) => broken.findIndex(({ of: [other] }) => other === about) === index)
    .map(({ of: [name = ''], problem }) => ({ setting: raw.get(name)?.from ?? toVariable(name), problem }));
}

function toUpstreamRules({ signIn, upstream }: Values): readonly TogetherRule[] {
  const { upstreamIssuer: issuer, upstreamClientId: clientId } = upstream;
  return [
    {
      of: ['upstreamIssuer', 'auth'],
      isBroken: issuer !== undefined && signIn.auth !== 'oauth',
      problem: 'needs AUTH=oauth: it is where people sign in for the authorization server of this host',
    },
    {
      of: ['upstreamIssuer'],
      isBroken: issuer !== undefined && !isIssuerUrl(new URL(issuer)),
      problem: 'must be an https URL without query and fragment; http only on loopback',
    },
    {
      of: ['upstreamClientId', 'upstreamIssuer'],
      isBroken: (issuer === undefined) !== (clientId === ''),
      problem: 'belongs to UPSTREAM_ISSUER: set both, or neither',
    },
    {
      of: ['upstreamJoinScopes', 'upstreamJoinTenant'],
      isBroken: (upstream.upstreamJoinTenant === '') !== (upstream.upstreamJoinScopes === ''),
      problem: 'belongs to UPSTREAM_JOIN_TENANT: set both, or neither',
    },
    {
      of: ['upstreamJoinTenant', 'upstreamIssuer'],
      isBroken: upstream.upstreamJoinTenant !== '' && issuer === undefined,
      problem: 'needs UPSTREAM_ISSUER',
    },
  ];
}

function isIssuerUrl(url: URL): boolean {
  const { search, hash, username, password } = url;
  return [search, hash, username, password].every((part) => part === '') && !isPlain(url);
}

function isPlain({ protocol, hostname }: URL): boolean {
  return protocol === 'http:' && !isLoopback(hostname);
}

function toVariable(name: string): string {
  const rows = Object.assign({}, ...Object.values(settings)) as Record<string, Setting | undefined>;
  return rows[name]?.variable ?? name;
}

function toConfig(values: Values, workingDir: string): Config {
  const { server, edge } = values;
  const { databaseUrl: _databaseUrl, redisUrl: _redisUrl, ...storage } = values.storage;
  const { encryptionKeys: _encryptionKeys, ...credentials } = values.credentials;
  const { upstreamClientSecret: _upstreamClientSecret, ...upstream } = values.upstream;
  const config: Config = {
    ...values,
    storage: { ...storage, dataDir: resolve(workingDir, storage.dataDir) },
    credentials,
    upstream,
    edge: {
      ...edge,
      allowedHosts: unique([...toOwnHosts(server.host, server.publicUrl), ...edge.allowedHosts]),
      allowedOrigins: unique([...toOwnOrigins(server.host, server.publicUrl), ...edge.allowedOrigins]),
    },
  };
  for (const group of Object.values(config)) Object.freeze(group);
  return Object.freeze(config);
}

function toOwnHosts(host: string, publicUrl: string | undefined): readonly string[] {
  const publicHosts = publicUrl === undefined ? [] : [new URL(publicUrl).host];
  if (isWildcard(host)) return [...publicHosts, ...loopbackNames];
  const own = host.includes(':') && !host.startsWith('[') ? `[${host.toLowerCase()}]` : host.toLowerCase();
  return [...publicHosts, own, ...(isLoopback(host) ? loopbackNames : [])];
}

function toOwnOrigins(host: string, publicUrl: string | undefined): readonly string[] {
  const publicOrigins = publicUrl === undefined ? [] : [new URL(publicUrl).origin];
  const loopbackOrigins = loopbackNames.flatMap((name) => [`http://${name}:*`, `https://${name}:*`]);
  return [...publicOrigins, ...(isLoopback(host) ? loopbackOrigins : [])];
}

function toSecrets(values: Values, randomBytes: (size: number) => Uint8Array): Secrets {
  const keys = values.credentials.encryptionKeys.map(
    (key) => new Secret<Uint8Array>(Buffer.from(key, 'hex')),
  );
  const [current, ...older] = keys;
  const { databaseUrl, redisUrl } = values.storage;
  return Object.freeze({
    encryptionKeys:
      current === undefined ? ([new Secret(randomBytes(encryptionKeyBytes))] as const) : [current, ...older],
    isEncryptionKeyMade: current === undefined,
    databaseUrl: databaseUrl === undefined ? undefined : new Secret(databaseUrl),
    redisUrl: redisUrl === undefined ? undefined : new Secret(redisUrl),
    upstreamClientSecret:
      values.upstream.upstreamClientSecret === ''
        ? undefined
        : new Secret(values.upstream.upstreamClientSecret),
  } satisfies Secrets);
}

function unique(items: readonly string[]): readonly string[] {
  return [...new Set(items)];
}
