import { describe, expect, it } from 'vitest';
import { parseRedisUrl } from './redis-url.ts';

const nobody = { username: undefined, password: undefined };
const plain = { ...nobody, tls: undefined, database: 0, masterName: undefined, sentinelCredentials: nobody };
const systemTls = { authorities: undefined, certificate: undefined, key: undefined };

describe('parseRedisUrl', () => {
  it('reads a single server, with its defaults', () => {
    expect(parseRedisUrl('redis://localhost')).toEqual({
      ...plain,
      kind: 'single',
      nodes: [{ host: 'localhost', port: 6379 }],
    });
    expect(parseRedisUrl('rediss://us%40er:p%3Aass@[::1]:7000/3')).toEqual({
      ...plain,
      kind: 'single',
      tls: systemTls,
      nodes: [{ host: '::1', port: 7000 }],
      username: 'us@er',
      password: 'p:ass',
      database: 3,
    });
    expect(parseRedisUrl('redis://:secret@redis:6379/')).toMatchObject({
      username: undefined,
      password: 'secret',
    });
  });

  it('reads sentinels with the name of their master, and the nodes of a cluster', () => {
    expect(parseRedisUrl('redis+sentinel://:p@a:1,b/my-master/2')).toEqual({
      ...plain,
      kind: 'sentinel',
      nodes: [
        { host: 'a', port: 1 },
        { host: 'b', port: 26_379 },
      ],
      password: 'p',
      database: 2,
      masterName: 'my-master',
    });
    expect(parseRedisUrl('rediss+cluster://a,b:7001')).toEqual({
      ...plain,
      kind: 'cluster',
      tls: systemTls,
      nodes: [
        { host: 'a', port: 6379 },
        { host: 'b', port: 7001 },
      ],
    });
  });

  it('reads who we are to the sentinels, and the files of TLS', () => {
    expect(
      parseRedisUrl(
        'rediss+sentinel://data:d@a/main?sentinel_username=us%26er&sentinel_password=p%40ss&tls_ca_file=%2Fca.pem&tls_cert_file=/c.pem&tls_key_file=/k.pem',
      ),
    ).toMatchObject({
      username: 'data',
      password: 'd',
      masterName: 'main',
      database: 0,
      sentinelCredentials: { username: 'us&er', password: 'p@ss' },
      tls: { authorities: '/ca.pem', certificate: '/c.pem', key: '/k.pem' },
    });
  });

  it('says what is wrong', () => {
    const problemOf = (url: string): string => {
      try {
        parseRedisUrl(url);
        return '';
      } catch (error) {
        return (error as Error).message;
      }
    };
    expect(problemOf('http://host')).toContain('redis+sentinel://');
    expect(problemOf('redis://a,b')).toContain('one host');
    expect(problemOf('redis+sentinel://a')).toContain("master's name");
    expect(problemOf('redis+cluster://a/1')).toContain('no database');
    expect(problemOf('redis://a?tls_ca_file=/ca.pem')).toContain('only with rediss');
    expect(problemOf('rediss://a?tls_cert_file=/c.pem')).toContain('together');
    expect(problemOf('redis://a?sentinel_password=secret')).toContain('only with redis+sentinel');
    expect(problemOf('redis://a?password=secret')).toContain('tls_ca_file');
    expect(problemOf('redis://:p#word@a')).toContain('percent-encoded');
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
    'redis+sentinel://host/main?sentinel_username=secret',
    'redis+sentinel://host/main?sentinel_password=secret&sentinel_password=secret',
    'redis+sentinel://host/main?sentinel_password=%secret',
    'rediss://:secret@host?tls_ca_file=',
    'rediss://:secret@host?tls_ca_file',
    `redis://:${'secret'.repeat(6000)}@host`,
    `redis+cluster://:secret@${Array.from({ length: 101 }, () => 'a').join(',')}`,
  ])('refuses %s, and repeats no password', (url) => {
    expect(() => parseRedisUrl(url)).toThrow(TypeError);
    expect(() => parseRedisUrl(url)).not.toThrow(/sec/);
  });
});
