/** One Redis process. */
export interface RedisNode {
  readonly host: string;
  readonly port: number;
}

/** Where Redis is and who we are there. */
export interface RedisTarget {
  readonly kind: 'single' | 'sentinel' | 'cluster';
  /** One for `single`; for the others some to begin with, the rest is learnt from them. */
  readonly nodes: readonly [RedisNode, ...RedisNode[]];
  readonly isTls: boolean;
  readonly username: string | undefined;
  readonly password: string | undefined;
  /** Always 0 in a cluster. */
  readonly database: number;
  /** The name that the sentinels know the master by; only for `sentinel`. */
  readonly masterName: string | undefined;
}

const schemes: Readonly<Record<string, Pick<RedisTarget, 'kind' | 'isTls'>>> = {
  redis: { kind: 'single', isTls: false },
  rediss: { kind: 'single', isTls: true },
  'redis+sentinel': { kind: 'sentinel', isTls: false },
  'rediss+sentinel': { kind: 'sentinel', isTls: true },
  'redis+cluster': { kind: 'cluster', isTls: false },
  'rediss+cluster': { kind: 'cluster', isTls: true },
};

const defaultPorts = { single: 6379, sentinel: 26_379, cluster: 6379 };
const maxNodes = 100;

/**
 * Reads `redis[s]://[user:password@]host[:port][/database]`,
 * `redis[s]+sentinel://[user:password@]host[:port],…/master-name[/database]` or
 * `redis[s]+cluster://[user:password@]host[:port],…`. User and password are percent-encoded.
 *
 * @throws TypeError that says what is wrong and does not repeat the text, which may hold a password
 */
export function parseRedisUrl(url: string): RedisTarget {
  const [, scheme = '', userInfo, hosts = '', path = ''] =
    /^([a-z+]+):\/\/(?:([^@/?#]*)@)?([^@/?#]+)(?:\/([^?#]*))?$/i.exec(url) ?? [];
  const row = schemes[scheme.toLowerCase()];
  if (row === undefined) {
    throw new TypeError(`A Redis URL has the form redis://user:password@host:port/database, or begins with one of \
${Object.keys(schemes).join(', ')}; queries and fragments are not taken, and user and password are percent-encoded.`);
  }
  const names = hosts.split(',');
  if (row.kind === 'single' && names.length > 1)
    throw new TypeError(
      'A redis:// URL names one host; redis+sentinel:// and redis+cluster:// name several.',
    );
  if (names.length > maxNodes) throw new TypeError(`A Redis URL names at most ${maxNodes} hosts.`);
  const [first, ...rest] = names.map((name) => parseNode(name, defaultPorts[row.kind]));
  return {
    ...row,
    nodes: [first as RedisNode, ...rest],
    ...parseUserInfo(userInfo),
    ...parsePath(row.kind, path),
  };
}

function parseNode(text: string, defaultPort: number): RedisNode {
  const [, ipv6, name, port] = /^(?:\[([0-9a-f:.]+)\]|([\w.-]+))(?::(\d{1,5}))?$/i.exec(text) ?? [];
  const host = ipv6 ?? name;
  const portNumber = port === undefined ? defaultPort : Number(port);
  if (host === undefined || portNumber < 1 || portNumber > 65_535)
    throw new TypeError(
      'Each host of a Redis URL is a name or address, then perhaps a port from 1 to 65535.',
    );
  return { host, port: portNumber };
}

function parseUserInfo(text: string | undefined): Pick<RedisTarget, 'username' | 'password'> {
  if (text === undefined || text === '') return { username: undefined, password: undefined };
  const separator = text.indexOf(':');
  try {
    const username = decodeURIComponent(separator === -1 ? text : text.slice(0, separator));
    const password = separator === -1 ? '' : decodeURIComponent(text.slice(separator + 1));
    return { username: username || undefined, password: password || undefined };
  } catch {
    throw new TypeError('User and password of a Redis URL must be percent-encoded.');
  }
}

function parsePath(kind: RedisTarget['kind'], path: string): Pick<RedisTarget, 'masterName' | 'database'> {
  const parts = path === '' ? [] : path.split('/');
  const masterName = kind === 'sentinel' ? parts.shift() : undefined;
  if (kind === 'sentinel' && !/^[\w.-]+$/.test(masterName ?? ''))
    throw new TypeError('A redis+sentinel:// URL names the master after the hosts: …/master-name.');
  const [database = '0', ...more] = parts;
  if (!/^\d{1,4}$/.test(database) || more.length > 0 || (kind === 'cluster' && database !== '0'))
    throw new TypeError(
      'A Redis URL ends in the number of a database, or none; a cluster has only number 0.',
    );
  return { masterName, database: Number(database) };
}
