import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ConfigError } from '../errors.ts';
import { canImportTypeScript } from './env.ts';
import { listSettings, loadConfig } from './load-config.ts';
import type { ParsedConfig } from './parse-config.ts';

const oneKey = '0123456789abcdef'.repeat(4);
const otherKey = 'f'.repeat(64);
let workingDir = '';

beforeEach(() => {
  workingDir = mkdtempSync(join(tmpdir(), 'mooring-config-'));
});

afterEach(() => {
  rmSync(workingDir, { recursive: true });
});

function load(environment: Record<string, string> = {}): Promise<ParsedConfig> {
  return loadConfig({ environment, workingDir });
}

async function problemsOf(environment: Record<string, string>): Promise<Record<string, string>> {
  const error = await load(environment).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof ConfigError)) throw new Error(`expected a ConfigError, got ${inspect(error)}`);
  return Object.fromEntries(error.problems.map(({ setting, problem }) => [setting, problem]));
}

describe('defaults', () => {
  it('serve on loopback with nothing configured', async () => {
    const { config, secrets } = await load();
    expect(config.server).toMatchObject({
      transport: 'http',
      host: '127.0.0.1',
      port: 8080,
      publicUrl: undefined,
    });
    expect(config.storage.dataDir).toBe(join(workingDir, '.mooring'));
    expect(config.edge.allowedHosts).toEqual(['127.0.0.1', 'localhost', '[::1]']);
    expect(config.edge.allowedOrigins).toContain('http://localhost:*');
    expect(secrets.databaseUrl).toBeUndefined();
    expect(secrets.encryptionKeys[0].reveal()).toHaveLength(32);
  });

  it('are used where the environment holds an empty string', async () => {
    const { config } = await load({ PORT: '', PUBLIC_URL: '', ENCRYPTION_KEY: '', ENCRYPTION_KEY_FILE: '' });
    expect(config.server.port).toBe(8080);
  });

  it('cannot be changed once read', async () => {
    const { config } = await load();
    expect(Object.isFrozen(config)).toBe(true);
    for (const group of Object.values(config)) expect(Object.isFrozen(group)).toBe(true);
  });

  it('pass their own validation', async () => {
    const environment = Object.fromEntries(
      listSettings().flatMap(([, setting]) =>
        'default' in setting ? [[setting.variable, String(setting.default)]] : [],
      ),
    );
    expect((await load(environment)).config).toEqual((await load()).config);
  });
});

describe('hosts and origins', () => {
  it('come from PUBLIC_URL, and a trailing slash is dropped', async () => {
    const { config } = await load({ PUBLIC_URL: 'https://mcp.example.com/base/', HOST: '0.0.0.0' });
    expect(config.server.publicUrl).toBe('https://mcp.example.com/base');
    expect(config.edge.allowedHosts).toEqual(['mcp.example.com', 'localhost', '127.0.0.1', '[::1]']);
    expect(config.edge.allowedOrigins).toEqual(['https://mcp.example.com']);
  });

  it('add what is configured to what is derived, in lower case', async () => {
    const { config } = await load({
      ALLOWED_HOSTS: 'MCP.internal:8443, other',
      ALLOWED_ORIGINS: 'https://App.Example',
    });
    expect(config.edge.allowedHosts).toEqual(
      expect.arrayContaining(['mcp.internal:8443', 'other', 'localhost']),
    );
    expect(config.edge.allowedOrigins).toContain('https://app.example');
  });

  it('bracket an IPv6 address as a Host header does', async () => {
    const { config } = await load({ HOST: 'FD00::1' });
    expect(config.edge.allowedHosts).toEqual(['[fd00::1]']);
    expect(config.edge.allowedOrigins).toEqual([]);
  });

  it('never take `*`: any origin has its own setting', async () => {
    expect(await problemsOf({ ALLOWED_ORIGINS: '*' })).toHaveProperty('ALLOWED_ORIGINS');
    expect((await load({ ALLOW_ANY_ORIGIN: 'true' })).config.edge.allowAnyOrigin).toBe(true);
  });
});

describe('trusted proxies', () => {
  it('are nobody by default, and addresses or ranges of them otherwise', async () => {
    expect((await load()).config.edge.trustedProxies).toEqual([]);
    const { config } = await load({ TRUSTED_PROXIES: '10.0.0.0/8, FD00::/8,192.0.2.7' });
    expect(config.edge.trustedProxies).toEqual(['10.0.0.0/8', 'fd00::/8', '192.0.2.7']);
  });

  it.each(['proxy.internal', '10.0.0.0/33', '10.0.0/8', '*', '10.0.0.1:80'])(
    'are never %s',
    async (wrong) => {
      expect(await problemsOf({ TRUSTED_PROXIES: `10.0.0.1,${wrong}` })).toEqual({
        TRUSTED_PROXIES: `expected IP addresses or ranges such as \`10.0.0.0/8\`, separated by commas, found "${wrong}"`,
      });
    },
  );
});

describe('problems', () => {
  it('are all told at once, each with what was expected and found', async () => {
    const problems = await problemsOf({
      PORT: 'eighty',
      LOG_LEVEL: 'loud',
      MAX_BODY_BYTES: '-1',
      PUBLIC_URL: 'example',
    });
    expect(problems).toEqual({
      PORT: 'expected a whole number from 0 to 65535, found "eighty"',
      LOG_LEVEL: 'expected one of `trace`, `debug`, `info`, `warn`, `error`, `fatal`, `silent`, found "loud"',
      MAX_BODY_BYTES: 'expected a whole number from 1024 to 268435456 (bytes), found "-1"',
      PUBLIC_URL:
        'expected an absolute URL with http:// or https://, without query or fragment, found "example"',
    });
  });

  it('include settings that contradict each other', async () => {
    expect(
      Object.keys(
        await problemsOf({
          NODE_ENV: 'production',
          HOST: '0.0.0.0',
          ALLOW_ANY_ORIGIN: 'true',
          ALLOWED_ORIGINS: 'https://a.example',
          HEADERS_TIMEOUT_MS: '40000',
          SESSION_IDLE_TTL_SECONDS: '999999',
        }),
      ).toSorted(),
    ).toEqual([
      'ALLOW_ANY_ORIGIN',
      'ENCRYPTION_KEY',
      'HEADERS_TIMEOUT_MS',
      'PUBLIC_URL',
      'SESSION_IDLE_TTL_SECONDS',
    ]);
  });

  it('demand of several instances what they share: Redis, and the key to what is in it', async () => {
    expect((await problemsOf({ INSTANCES: '2' }))['INSTANCES']).toContain('REDIS_URL');
    expect((await problemsOf({ REDIS_URL: 'redis://localhost' }))['ENCRYPTION_KEY']).toContain('REDIS_URL');
    const { secrets } = await load({
      INSTANCES: '2',
      REDIS_URL: 'redis://:hunter2@localhost',
      ENCRYPTION_KEY: 'ab'.repeat(32),
    });
    expect(secrets.redisUrl?.reveal()).toBe('redis://:hunter2@localhost');
    expect(JSON.stringify(secrets)).not.toContain('hunter2');
  });

  it.each(['rediss://h', 'redis+sentinel://u:p@h1:26379,h2/main/1', 'rediss+cluster://h1:7000,h2:7001'])(
    'take Redis as %s',
    async (url) => {
      const { secrets } = await load({ REDIS_URL: url, ENCRYPTION_KEY: 'ab'.repeat(32) });
      expect(secrets.redisUrl?.reveal()).toBe(url);
    },
  );

  it('demand of an issuer a URL that can be one, and a key that outlives it', async () => {
    const AUTH = 'oauth';
    await expect(load({ AUTH, PUBLIC_URL: 'https://example.com/mcp-host' })).rejects.toThrow(
      'PUBLIC_URL: must have no path with AUTH=oauth',
    );
    await expect(load({ AUTH, PUBLIC_URL: 'http://example.com' })).rejects.toThrow(
      'PUBLIC_URL: must be https with AUTH=oauth',
    );
    await expect(load({ AUTH, DATABASE_URL: 'postgres://db/mooring' })).rejects.toThrow('ENCRYPTION_KEY');
    for (const PUBLIC_URL of ['https://example.com', 'http://127.0.0.1:8080', ''])
      expect((await load({ AUTH, PUBLIC_URL })).config.signIn.auth).toBe('oauth');
  });

  it('demand what another provider for sign-in needs, and keep its secret out of the configuration', async () => {
    const complete = { AUTH: 'oauth', UPSTREAM_ISSUER: 'https://id.example/', UPSTREAM_CLIENT_ID: 'mooring' };
    const { config, secrets } = await load({ ...complete, UPSTREAM_CLIENT_SECRET: 'hunter2' });
    expect(config.upstream.upstreamIssuer).toBe('https://id.example/');
    expect(secrets.upstreamClientSecret?.reveal()).toBe('hunter2');
    expect(JSON.stringify(config)).not.toContain('hunter2');
    expect((await load(complete)).secrets.upstreamClientSecret).toBeUndefined();
    const wrong: readonly (readonly [Readonly<Record<string, string>>, string])[] = [
      [{ ...complete, AUTH: 'keys' }, 'UPSTREAM_ISSUER'],
      [{ ...complete, UPSTREAM_ISSUER: 'http://id.example' }, 'UPSTREAM_ISSUER'],
      [{ ...complete, UPSTREAM_ISSUER: 'https://id.example?tenant=1' }, 'UPSTREAM_ISSUER'],
      [{ AUTH: 'oauth', UPSTREAM_ISSUER: 'https://id.example' }, 'UPSTREAM_CLIENT_ID'],
      [{ AUTH: 'oauth', UPSTREAM_CLIENT_ID: 'mooring' }, 'UPSTREAM_CLIENT_ID'],
      [{ ...complete, UPSTREAM_JOIN_TENANT: 'cafe' }, 'UPSTREAM_JOIN_SCOPES'],
      [{ AUTH: 'oauth', UPSTREAM_JOIN_TENANT: 'cafe', UPSTREAM_JOIN_SCOPES: '*' }, 'UPSTREAM_JOIN_TENANT'],
      [{ ...complete, UPSTREAM_SCOPES: 'profile email' }, 'UPSTREAM_SCOPES'],
    ];
    for (const [environment, variable] of wrong)
      expect(Object.keys(await problemsOf(environment))).toEqual([variable]);
  });

  it('say what is wrong with where Redis is, without its password', async () => {
    const problems = await problemsOf({ REDIS_URL: 'redis+cluster://:hunter2@a,b/3' });
    expect(problems['REDIS_URL']).toContain('a cluster has only number 0');
    expect(JSON.stringify(problems)).not.toContain('hunter2');
  });

  it('never quote a secret', async () => {
    const problems = await problemsOf({
      ENCRYPTION_KEY: 'hunter2hunter2',
      DATABASE_URL: 'mysql://root:hunter2@db',
      PUBLIC_URL: 'ftp://root:hunter2@db',
    });
    expect(Object.keys(problems)).toHaveLength(3);
    expect(JSON.stringify(problems)).not.toContain('hunter2');
  });

  it('list each bad setting once, whatever the environment holds', async () => {
    const variables = listSettings().flatMap(([, { variable }]) => [variable, `${variable}_FILE`]);
    const value = fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.integer().map(String), fc.webUrl());
    const environments = fc.dictionary(fc.constantFrom(...variables), value);
    await fc.assert(
      fc.asyncProperty(environments, async (environment) => {
        const error = await load(environment).then(
          () => undefined,
          (reason: unknown) => reason,
        );
        if (error === undefined) return;
        expect(error).toBeInstanceOf(ConfigError);
        const names = (error as ConfigError).problems.map(({ setting }) => setting);
        expect(new Set(names).size).toBe(names.length);
        for (const name of names) expect(variables).toContain(name);
      }),
      { numRuns: 500 },
    );
  });
});

describe('secrets', () => {
  it('read a rotation list of keys, the current one first', async () => {
    const { secrets } = await load({ ENCRYPTION_KEY: `${oneKey}, ${otherKey}` });
    expect(secrets.encryptionKeys.map((key) => Buffer.from(key.reveal()).toString('hex'))).toEqual([
      oneKey,
      otherKey,
    ]);
  });

  it('may be files, whose last line break does not count', async () => {
    writeFileSync(join(workingDir, 'url'), 'postgres://mooring:hunter2@db/mooring\n');
    const { secrets } = await load({ DATABASE_URL_FILE: 'url' });
    expect(secrets.databaseUrl?.reveal()).toBe('postgres://mooring:hunter2@db/mooring');
  });

  it('may not be both a value and a file, nor a file that is empty or missing', async () => {
    writeFileSync(join(workingDir, 'empty'), '\n');
    expect(
      await problemsOf({ ENCRYPTION_KEY: oneKey, ENCRYPTION_KEY_FILE: 'empty', NODE_ENV: 'production' }),
    ).toEqual({
      ENCRYPTION_KEY: 'set both as ENCRYPTION_KEY and as ENCRYPTION_KEY_FILE: keep one',
    });
    const problems = await problemsOf({ ENCRYPTION_KEY_FILE: 'empty', DATABASE_URL_FILE: 'absent' });
    expect(problems['ENCRYPTION_KEY_FILE']).toContain('is empty');
    expect(problems['DATABASE_URL_FILE']).toContain('ENOENT');
  });

  it('never print', async () => {
    const { config, secrets } = await load({
      DATABASE_URL: 'postgres://mooring:hunter2@db/mooring',
      ENCRYPTION_KEY: oneKey,
    });
    const printed = [
      inspect(secrets, { depth: 9 }),
      JSON.stringify(secrets),
      String(secrets.databaseUrl),
      JSON.stringify(config),
    ];
    for (const text of printed) {
      expect(text).not.toContain('hunter2');
      expect(text).not.toContain(oneKey);
    }
    expect(printed[0]).toContain('[secret]');
  });
});

describe('mooring.config', () => {
  it('gives what neither a flag nor the environment says', async () => {
    writeFileSync(
      join(workingDir, 'mooring.config.mjs'),
      "export default { port: 1111, host: 'a', keyPrefix: 'fp', allowedHosts: ['mcp.example.com'], allowAnyOrigin: true };",
    );
    const { config } = await loadConfig({
      environment: { PORT: '2222', HOST: 'b' },
      flags: new Map([['port', { from: '--port', value: '3333' }]]),
      workingDir,
    });
    expect(config.server).toMatchObject({ port: 3333, host: 'b' });
    expect(config.credentials.keyPrefix).toBe('fp');
    expect(config.edge.allowAnyOrigin).toBe(true);
    expect(config.edge.allowedHosts).toContain('mcp.example.com');
  });

  it('is refused with every unknown name and wrong type in it', async () => {
    writeFileSync(
      join(workingDir, 'mooring.config.js'),
      "export default { prot: 1, port: '80x', publicUrl: 3, allowedHosts: [1], __proto__: null };",
    );
    expect(await problemsOf({})).toEqual({
      'prot in mooring.config.js': 'is not a setting',
      'port in mooring.config.js': 'expected a whole number from 0 to 65535, found "80x"',
      'publicUrl in mooring.config.js': expect.stringContaining('found 3'),
      'allowedHosts in mooring.config.js': expect.stringContaining('found a list'),
    });
  });

  it('is refused when it does not export settings, cannot be loaded, or is there twice', async () => {
    writeFileSync(join(workingDir, 'mooring.config.mjs'), 'export const port = 1;');
    expect(await problemsOf({})).toEqual({ 'mooring.config.mjs': expect.stringContaining('default') });
    writeFileSync(join(workingDir, 'mooring.config.js'), '');
    expect(await problemsOf({})).toEqual({ 'mooring.config.mjs': expect.stringContaining('keep one') });
    rmSync(join(workingDir, 'mooring.config.mjs'));
    writeFileSync(join(workingDir, 'mooring.config.js'), 'throw new Error("broken on purpose")');
    expect(await problemsOf({})).toEqual({ 'mooring.config.js': 'cannot be loaded: broken on purpose' });
  });

  it.skipIf(canImportTypeScript())(
    'in TypeScript says which Node.js it needs where types cannot be stripped',
    async () => {
      writeFileSync(join(workingDir, 'mooring.config.ts'), 'export default {};');
      expect((await problemsOf({}))['mooring.config.ts']).toContain('Node.js 22.18');
    },
  );
});
