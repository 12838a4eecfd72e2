import { expect, test } from 'vitest';
import { createPublicFetch, isPublicAddress } from './public-fetch.ts';

function createSpy(addresses: readonly string[] = []) {
  const sent: [string, RequestInit | undefined][] = [];
  const fetch = createPublicFetch(
    (input, init) => {
      sent.push([input instanceof Request ? input.url : String(input), init]);
      return Promise.resolve(new Response('{}'));
    },
    () => Promise.resolve(addresses),
  );
  return { fetch, sent };
}

test.each(['93.184.216.34', '8.8.8.8', '223.255.255.255', '2606:4700::1111', '2a00:1450:4001::1'])(
  '%s is public',
  (address) => {
    expect(isPublicAddress(address)).toBe(true);
  },
);

test.each([
  '0.0.0.0',
  '10.1.2.3',
  '100.64.0.1',
  '127.0.0.1',
  '169.254.169.254',
  '172.31.255.255',
  '192.168.1.1',
  '198.19.0.1',
  '224.0.0.1',
  '255.255.255.255',
  '::',
  '::1',
  '::ffff:127.0.0.1',
  '::ffff:7f00:1',
  '64:ff9b::7f00:1',
  'fc00::1',
  'fe80::1',
  'ff02::1',
  '2001:db8::1',
  '2002:7f00:1::',
  'localhost',
  '',
])('%j is not', (address) => {
  expect(isPublicAddress(address)).toBe(false);
});

test.each([
  'http://client.example/a',
  'https://127.0.0.1/a',
  'https://2130706433/a',
  'https://0x7f.1/a',
  'https://[::1]/a',
  'https://[::ffff:127.0.0.1]/a',
  'https://169.254.169.254/latest/meta-data',
])('nothing is sent to %s', async (url) => {
  const { fetch, sent } = createSpy(['93.184.216.34']);
  await expect(fetch(url)).rejects.toThrow(TypeError);
  expect(sent).toEqual([]);
});

test('nothing is sent to a name of which one address is private, or that has none', async () => {
  for (const addresses of [['10.0.0.1'], ['93.184.216.34', '10.0.0.1'], ['::1'], []]) {
    const { fetch, sent } = createSpy(addresses);
    await expect(fetch('https://client.example/a')).rejects.toThrow(TypeError);
    expect(sent).toEqual([]);
  }
});

test('a public host is asked, and its redirects are not followed', async () => {
  const { fetch, sent } = createSpy(['93.184.216.34']);
  await fetch('https://client.example/a', { redirect: 'follow' });
  expect(sent).toEqual([['https://client.example/a', { redirect: 'manual' }]]);
});

test('a name that takes too long to find is given up', async () => {
  const fetch = createPublicFetch(
    () => Promise.resolve(new Response('{}')),
    () => new Promise(() => undefined),
  );
  await expect(fetch('https://client.example/a', { signal: AbortSignal.timeout(20) })).rejects.toThrow(
    'in time',
  );
});
