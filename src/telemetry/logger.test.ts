import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RequestError } from '../errors.ts';
import { createLogger, type LogLevel, type Logger } from './logger.ts';
import { createStderrDestination } from './stderr-destination.ts';

const apiKey = `mooring_mcp_${'a1b2c3d4'.repeat(6)}`;

function createMemoryLogger(level: LogLevel = 'info'): { logger: Logger; lines: string[] } {
  const lines: string[] = [];
  const logger = createLogger({ level, destination: { write: (line) => lines.push(line) }, now: () => 0 });
  return { logger, lines };
}

function log(fields: Record<string, unknown>): Record<string, unknown> {
  const { logger, lines } = createMemoryLogger();
  logger.info('test.happened', fields);
  return JSON.parse(lines[0] ?? '') as Record<string, unknown>;
}

describe('a line', () => {
  it('is one JSON object: level, time, fields of the child and of the event, event', () => {
    const { logger, lines } = createMemoryLogger();
    logger.child({ instance: 'i1' }).warn('session.evicted', { sessions: 3 });
    expect(lines).toEqual([
      '{"level":"warn","time":"1970-01-01T00:00:00.000Z","instance":"i1","sessions":3,"event":"session.evicted"}\n',
    ]);
  });

  it('is not written below the level', () => {
    const { logger, lines } = createMemoryLogger('warn');
    logger.debug('a');
    logger.info('b');
    expect(lines).toEqual([]);
    expect(logger.isEnabled('info')).toBe(false);
    expect(logger.isEnabled('error')).toBe(true);
    createMemoryLogger('silent').logger.error('c', {}, new Error('d'));
    expect(lines).toEqual([]);
  });

  it('is written whatever the fields hold', () => {
    const { logger, lines } = createMemoryLogger();
    fc.assert(
      fc.property(fc.object({ withBigInt: true, withDate: true, withNullPrototype: true }), (fields) => {
        lines.length = 0;
        logger.info('test.happened', fields);
        expect(JSON.parse(lines[0] ?? '')).toHaveProperty('event', 'test.happened');
      }),
    );
    const cycle: Record<string, unknown> = {};
    cycle['self'] = cycle;
    expect(log({ cycle })).toHaveProperty('cycle');
    expect(
      log({
        bad: {
          toJSON: () => {
            throw new Error('no');
          },
        },
      }),
    ).toHaveProperty('bad', '[unreadable]');
  });
});

describe('redaction', () => {
  it.each([
    'authorization',
    'Proxy-Authorization',
    'cookie',
    'set-cookie',
    'apiKey',
    'x-api-key',
    'API_KEY',
    'token',
    'accessToken',
    'client_secret',
    'password',
    'encryptionKey',
    'arguments',
    'requestState',
    'body',
    'databaseUrl',
  ])('hides the field %s at any depth and leaves the caller its object', (name) => {
    const fields = { [name]: 'hunter2', outer: [{ [name]: { deeper: 'hunter2' } }] };
    const before = structuredClone(fields);
    expect(JSON.stringify(log(fields))).not.toContain('hunter2');
    expect(fields).toEqual(before);
  });

  it.each([
    ['an API key', `no such key ${apiKey} here`, apiKey],
    ['a bearer token', 'header was Bearer abc.def-ghi', 'abc.def'],
    ['a JSON Web Token', 'got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln', 'eyJzdWIi'],
    ['the password of a URL', 'connect postgres://root:hunter2@db/x failed', 'hunter2'],
  ])('cuts %s out of text, in fields, errors and their causes', (_what, text, secret) => {
    expect(JSON.stringify(log({ reason: text, list: [text] }))).not.toContain(secret);
    const { logger, lines } = createMemoryLogger();
    logger.error('test.failed', {}, new Error(text, { cause: new Error(text) }));
    expect(lines.join()).not.toContain(secret);
  });

  it('lets through what only resembles a secret', () => {
    const fields = {
      keyId: 'key_1',
      tokens: undefined,
      method: 'tools/call',
      url: 'https://a.example/mcp',
      tokenCount: 3,
    };
    expect(log(fields)).toMatchObject({
      keyId: 'key_1',
      method: 'tools/call',
      url: fields.url,
      tokenCount: 3,
    });
  });
});

describe('an error', () => {
  it('is told with its code, its detail and its causes', () => {
    const { logger, lines } = createMemoryLogger();
    const cause = Object.assign(new Error('connect refused'), { code: 'ECONNREFUSED' });
    const error = new RequestError('not_found', 'No such thing', { detail: 'thing 7', cause });
    logger.error('request.failed', { requestId: 'r1' }, error);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      level: 'error',
      requestId: 'r1',
      error: {
        name: 'RequestError',
        code: 'not_found',
        message: 'No such thing',
        detail: 'thing 7',
        stack: expect.stringContaining('logger.test.ts'),
        cause: { code: 'ECONNREFUSED', message: 'connect refused' },
      },
    });
  });

  it('may be anything that was thrown, and its causes may go round', () => {
    const { logger, lines } = createMemoryLogger();
    const round = new Error('round');
    round.cause = round;
    for (const thrown of [round, 'text', null, 7, { token: 'hunter2' }])
      logger.error('test.failed', {}, thrown);
    expect(lines).toHaveLength(5);
    expect(lines.join()).not.toContain('hunter2');
  });
});

describe('the stderr destination', () => {
  it('has written every line, in order, once flushed', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'mooring-log-'));
    const descriptor = openSync(join(dir, 'log'), 'w');
    const logger = createLogger({ level: 'info', destination: createStderrDestination(descriptor) });
    for (let count = 0; count < 2000; count += 1) logger.info('test.counted', { count });
    await logger.flush();
    const counts = readFileSync(join(dir, 'log'), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { count: number }).count);
    expect(counts).toEqual(Array.from({ length: 2000 }, (_, count) => count));
    closeSync(descriptor);
    rmSync(dir, { recursive: true });
  });

  it('stops quietly when its reader is gone', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'mooring-log-'));
    const descriptor = openSync(join(dir, 'log'), 'w');
    closeSync(descriptor);
    const readOnly = openSync(join(dir, 'log'), 'r');
    const logger = createLogger({ level: 'info', destination: createStderrDestination(readOnly) });
    logger.info('a');
    await logger.flush();
    logger.info('b');
    await logger.flush();
    expect(readFileSync(join(dir, 'log'), 'utf8')).toBe('');
    closeSync(readOnly);
    rmSync(dir, { recursive: true });
  });
});
