/** One Redis process. */
export interface RedisNode {
  readonly host: string;
  readonly port: number;
}

/** Who we are to a Redis process; both absent: nobody in particular. */
export interface RedisCredentials {
  readonly username: string | undefined;
  readonly password: string | undefined;
}

/** PEM files that TLS is spoken with. What is absent is as Node.js has it. */
export interface RedisTlsFiles {
  /** The authorities that are trusted, in place of those that Node.js trusts. */
  readonly authorities: string | undefined;
  /** Our certificate and its key, for a Redis that asks for one. Both or neither. */
  readonly certificate: string | undefined;
  readonly key: string | undefined;
}

/** Where Redis is and who we are there. */
export interface RedisTarget extends RedisCredentials {
  readonly kind: 'single' | 'sentinel' | 'cluster';
  /** One for `single`; for the others some to begin with, the rest is learnt from them. */
  readonly nodes: readonly [RedisNode, ...RedisNode[]];
  /** `undefined`: no TLS. It is for the sentinels, too. */
  readonly tls: RedisTlsFiles | undefined;
  /** Always 0 in a cluster. */
  readonly database: number;
  /** The name that the sentinels know the master by; only for `sentinel`. */
  readonly masterName: string | undefined;
  /** Who we are to the sentinels, which have passwords of their own. */
  readonly sentinelCredentials: RedisCredentials;
}

/** The forms that `parseRedisUrl` reads. */
export const redisUrlForms = `\`redis://user:password@host:port/database\`, \
\`redis+sentinel://user:password@host:port,.../master-name/database\` or \`redis+cluster://user:password@host:port,...\`, \
each also with \`rediss\` for TLS`;

const schemes: Readonly<Record<string, { readonly kind: RedisTarget['kind']; readonly isTls: boolean }>> = {
  redis: { kind: 'single', isTls: false },
  rediss: { kind: 'single', isTls: true },
  'redis+sentinel': { kind: 'sentinel', isTls: false },
  'rediss+sentinel': { kind: 'sentinel', isTls: true },
  'redis+cluster': { kind: 'cluster', isTls: false },
  'rediss+cluster': { kind: 'cluster', isTls: true },
};

const parameterNames = [
  'sentinel_username',
  'sentinel_password',
  'tls_ca_file',
  'tls_cert_file',
  'tls_key_file',
] as const;
type Parameters = Readonly<Partial<Record<(typeof parameterNames)[number], string>>>;

const defaultPorts = { single: 6379, sentinel: 26_379, cluster: 6379 };
const maxNodes = 100;
const maxLength = 32_768;

/**
 * Reads `redis://[user:password@]host[:port][/database]`,
 * `redis+sentinel://[user:password@]host[:port],…/master-name[/database]` or
 * `redis+cluster://[user:password@]host[:port],…`, each also with `rediss` for TLS. Queries: `sentinel_username` and
 * `sentinel_password` for sentinels; `tls_ca_file`, `tls_cert_file` and `tls_key_file` for TLS. User, password and the
 * values of queries are percent-encoded.
 *
 * @throws TypeError that says what is wrong and does not repeat the text, which may hold a password
 */
export function parseRedisUrl(url: string): RedisTarget {
  if (url.length > maxLength) throw new TypeError(`expected at most ${maxLength} characters`);
  const [, scheme = '', rest = ''] = /^([a-z+]+):\/\/(.*)$/is.exec(url) ?? [];
  const row = schemes[scheme.toLowerCase()];
  if (row === undefined) throw new TypeError(`expected ${redisUrlForms}`);
  const [, userInfo, hosts, path = '', query] =
    /^(?:([^@/?#]*)@)?([^@/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/.exec(rest) ?? [];
  if (hosts === undefined)
    throw new TypeError(
      'expected the characters @ / ? # in user, password and queries to be percent-encoded',
    );
  const names = hosts.split(',');
  if (row.kind === 'single' && names.length > 1)
    throw new TypeError('expected one host; redis+sentinel:// and redis+cluster:// take several');
  if (names.length > maxNodes) throw new TypeError(`expected at most ${maxNodes} hosts`);
  const [first, ...others] = names.map((name) => parseNode(name, defaultPorts[row.kind]));
  const parameters = parseQuery(query);
  return {
    kind: row.kind,
    // Splitting gives one part at least.
    nodes: [first as RedisNode, ...others],
    ...parseUserInfo(userInfo),
    ...parsePath(row.kind, path),
    tls: toTls(row.isTls, parameters),
    sentinelCredentials: toSentinelCredentials(row.kind, parameters),
  };
}

function parseNode(text: string, defaultPort: number): RedisNode {
  const [, ipv6, name, port] = /^(?:\[([0-9a-f:.]+)\]|([\w.-]+))(?::(\d{1,5}))?$/i.exec(text) ?? [];
  const host = ipv6 ?? name;
  const portNumber = port === undefined ? defaultPort : Number(port);
  if (host === undefined || portNumber < 1 || portNumber > 65_535)
    throw new TypeError('expected each host to be a name or address, then perhaps a port from 1 to 65535');
  return { host, port: portNumber };
}

function parseUserInfo(text = ''): RedisCredentials {
  const separator = text.indexOf(':');
  const username = decode(separator === -1 ? text : text.slice(0, separator));
  const password = separator === -1 ? '' : decode(text.slice(separator + 1));
  return { username: username || undefined, password: password || undefined };
}

function parsePath(kind: RedisTarget['kind'], path: string): Pick<RedisTarget, 'masterName' | 'database'> {
  const parts = path.replace(/\/$/, '').split('/');
  const masterName = kind === 'sentinel' ? parts.shift() : undefined;
  if (kind === 'sentinel' && !/^[\w.-]+$/.test(masterName ?? ''))
    throw new TypeError(
      "expected the master's name after the sentinels: redis+sentinel://host:port/master-name",
    );
  const [database = '', ...more] = parts;
  if (!/^\d{0,4}$/.test(database) || more.length > 0)
    throw new TypeError('expected the number of a database at the end, or nothing');
  if (kind === 'cluster' && Number(database) !== 0)
    throw new TypeError('expected no database: a cluster has only number 0');
  return { masterName, database: Number(database) };
}

function parseQuery(text: string | undefined): Parameters {
  const parameters: Partial<Record<(typeof parameterNames)[number], string>> = {};
  for (const pair of text === undefined || text === '' ? [] : text.split('&')) {
    const separator = pair.indexOf('=');
    const name = parameterNames.find((known) => known === pair.slice(0, separator));
    const value = decode(pair.slice(separator + 1));
    if (name === undefined || parameters[name] !== undefined || value === '')
      throw new TypeError(
        `expected as queries only ${parameterNames.join(', ')}, each once and with a value`,
      );
    parameters[name] = value;
  }
  return parameters;
}

function toTls(isTls: boolean, parameters: Parameters): RedisTlsFiles | undefined {
  const files = {
    authorities: parameters.tls_ca_file,
    certificate: parameters.tls_cert_file,
    key: parameters.tls_key_file,
  };
  if (!isTls && Object.values(files).some((file) => file !== undefined))
    throw new TypeError('expected tls_ca_file, tls_cert_file and tls_key_file only with rediss');
  if ((files.certificate === undefined) !== (files.key === undefined))
    throw new TypeError('expected tls_cert_file and tls_key_file together');
  return isTls ? files : undefined;
}

function toSentinelCredentials(kind: RedisTarget['kind'], parameters: Parameters): RedisCredentials {
  const { sentinel_username: username, sentinel_password: password } = parameters;
  if (kind !== 'sentinel' && (username !== undefined || password !== undefined))
    throw new TypeError('expected sentinel_username and sentinel_password only with redis+sentinel');
  if (username !== undefined && password === undefined)
    throw new TypeError('expected sentinel_password with sentinel_username');
  return { username, password };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new TypeError('expected user, password and queries to be percent-encoded');
  }
}
