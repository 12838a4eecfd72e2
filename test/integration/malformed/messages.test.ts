/** JSON-RPC that is not, and parameters that nobody expects, in both eras. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { type Aim, check, legacyVersion, takeAim, toPost, toSessionHeaders } from './aim.ts';
import {
  legacyMessages,
  modernMessages,
  type SoundMessage,
  strayResponses,
  toModernHeaders,
} from './sound-messages.ts';
import { brokenText, mutated, valueText } from './wire-text.ts';

const timeoutMs = 240_000;
let aim: Aim;

beforeAll(async () => {
  aim = await takeAim();
  await aim.expectServing();
  aim.target.markHeap();
});

afterAll(async () => {
  await aim.close();
});

const modernCase = fc.oneof(
  ...modernMessages.map((message) => {
    const headers = toModernHeaders(message);
    return mutated(message).map((text) => ({ text, headers }));
  }),
);

const legacyCase = fc.tuple(
  legacyVersion,
  fc.oneof(...[...legacyMessages, ...strayResponses].map((message) => mutated(message))),
);

describe('messages', () => {
  test('of the modern era, wrong anywhere, are answered as JSON-RPC', { timeout: timeoutMs }, async () => {
    await check(modernCase, 6000, ({ text, headers }) =>
      aim.fire(toPost(text, { ...aim.headers, ...headers })),
    );
  });

  test('with capabilities of any type ask nothing they should not', { timeout: timeoutMs }, async () => {
    const asking = modernMessages.filter(({ params }) => String(params?.['name']).startsWith('ask'));
    const cases = fc.oneof(
      ...asking.map((message) => {
        const { _meta: meta, ...params } = message.params ?? {};
        const key = 'io.modelcontextprotocol/clientCapabilities';
        const rest = JSON.stringify({
          ...message,
          params: { ...params, _meta: { ...(meta as object), [key]: '#' } },
        });
        return mutated((meta as Record<string, unknown>)[key], 2).map((text) => ({
          text: rest.replace('"#"', () => text),
          headers: toModernHeaders(message),
        }));
      }),
    );
    await check(cases, 1000, ({ text, headers }) => aim.fire(toPost(text, { ...aim.headers, ...headers })));
  });

  test('with arguments of any type beside their headers are compared', { timeout: timeoutMs }, async () => {
    const route = modernMessages.find(({ params }) => params?.['name'] === 'route') as SoundMessage;
    const rest = JSON.stringify({ ...route, params: { ...route.params, arguments: '#' } });
    const headers = { ...aim.headers, ...toModernHeaders(route) };
    await check(mutated(route.params?.['arguments'], 2), 1000, (text) =>
      aim.fire(
        toPost(
          rest.replace('"#"', () => text),
          headers,
        ),
      ),
    );
  });

  test('of a session, wrong anywhere, are answered as JSON-RPC', { timeout: timeoutMs }, async () => {
    await check(legacyCase, 6000, async ([version, text]) =>
      aim.fire(toPost(text, await toSessionHeaders(aim, version))),
    );
  });

  test('that are any JSON or nearly JSON are refused', { timeout: timeoutMs }, async () => {
    const cases = fc.record({
      text: fc.oneof(valueText, brokenText),
      inSession: fc.boolean(),
      version: legacyVersion,
    });
    await check(cases, 4000, async ({ text, inSession, version }) =>
      aim.fire(toPost(text, inSession ? await toSessionHeaders(aim, version) : aim.headers), 'http'),
    );
  });

  test('in batches, mixed, nested, empty, are answered as JSON-RPC', { timeout: timeoutMs }, async () => {
    const item = fc.oneof(
      { weight: 6, arbitrary: legacyCase.map(([, text]) => text) },
      { weight: 1, arbitrary: valueText },
      { weight: 1, arbitrary: modernCase.map(({ text }) => text) },
    );
    const batches = fc.array(item, { maxLength: 5 }).map((items) => `[${items.join(',')}]`);
    await check(fc.tuple(legacyVersion, batches), 3000, async ([version, text]) =>
      aim.fire(toPost(text, await toSessionHeaders(aim, version))),
    );
  });

  test('without a credential are refused unread', { timeout: timeoutMs }, async () => {
    const { Authorization: _, ...headers } = aim.headers;
    const cases = fc.oneof(
      modernCase.map(({ text }) => text),
      brokenText,
    );
    await check(cases, 2000, async (text) => {
      const received = await aim.fire(toPost(text, headers));
      if (received?.status !== 401) throw new Error(`status ${received?.status}`);
    });
  });
});
