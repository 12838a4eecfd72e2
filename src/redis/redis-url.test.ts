import { describe, expect, it } from 'vitest';
import { parseRedisUrl } from './redis-url.ts';

const plain = { username: undefined, password: undefined, database: 0, masterName: undefined };

describe('parseRedisUrl', () => {
  it('reads a single server, with its defaults', () => {
    expect(parseRedisUrl('redis://localhost')).toEqual({
      ...plain,
      kind: 'single',
      isTls: false,
      nodes: [{ host: 'localhost', port: 6379 }],
    });
    expect(parseRedisUrl('rediss://us%40er:p%3Aass@[::1]:7000/3')).toEqual({
      kind: 'single',
      isTls: true,
      nodes: [{ host: '::1', port: 7000 }],
      username: 'us@er',
      password: 'p:ass',
      database: 3,
      masterName: undefined,
    });
    expect(parseRedisUrl('redis://:secret@redis:6379/')).toMatchObject({
      username: undefined,
      password: 'secret',
    });
  });

  it('reads sentinels with the name of their master, and the nodes of a cluster', () => {
    expect(parseRedisUrl('redis+sentinel://:p@a:1,b/my-master/2')).toEqual({
      kind: 'sentinel',
      isTls: false,
      nodes: [
        { host: 'a', port: 1 },
        { host: 'b', port: 26_379 },
      ],
      username: undefined,
      password: 'p',
      database: 2,
      masterName: 'my-master',
    });
    expect(parseRedisUrl('rediss+cluster://a,b:7001')).toEqual({
      ...plain,
      kind: 'cluster',
      isTls: true,
      nodes: [
        { host: 'a', port: 6379 },
        { host: 'b', port: 7001 },
      ],
    });
  });

  it.each([
    '',
    'localhost:6379',
    'http://localhost',
    'redis://',
    'redis://:secret@a,b',
    'redis://:secret@host:0',
    'redis://:secret@host:65536',
    'redis://:secret@host:port',
    'redis://:secret@host/name',
    'redis://:secret@host/0/1',
    'redis://:secret@host?db=1',
    'redis://:sec@ret@host',
    'redis://:secret%@host',
    'redis+sentinel://:secret@host',
    'redis+cluster://:secret@host/1',
    `redis+cluster://:secret@${Array.from({ length: 101 }, () => 'a').join(',')}`,
  ])('refuses %s, and repeats no password', (url) => {
    expect(() => parseRedisUrl(url)).toThrow(TypeError);
    expect(() => parseRedisUrl(url)).not.toThrow(/sec/);
  });
});
