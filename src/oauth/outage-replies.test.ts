import { expect, test } from 'vitest';
import { RequestError, UpstreamError } from '../errors.ts';
import type { HttpReply, HttpRequest } from '../http/messages.ts';
import type { RouteHandler } from '../http/routes.ts';
import type { OauthEndpoints } from './oauth-endpoints.ts';
import { answerOutages } from './outage-replies.ts';

function create(error: Error, told: unknown[] = []): OauthEndpoints {
  const handler: RouteHandler = () => Promise.reject(error);
  return answerOutages(
    {
      authorize: handler,
      resume: handler,
      token: handler,
      register: handler,
      revoke: handler,
      jwks: handler,
      metadata: handler,
      interaction: { show: handler, decide: handler, comeBack: handler },
      callback: handler,
    },
    (each) => told.push(each),
  );
}

const ask = (handler: RouteHandler): HttpReply | Promise<HttpReply> => handler({} as HttpRequest);
const outage = new UpstreamError('database', 'The database cannot be reached', { retryAfterSeconds: 7 });

test('a program is told to wait, in the one word by which clients keep what they have', async () => {
  const told: unknown[] = [];
  const { token, register, revoke, jwks, metadata } = create(outage, told);
  for (const handler of [token, register, revoke, jwks, metadata]) {
    expect(await ask(handler)).toMatchObject({
      status: 503,
      headers: { 'Retry-After': '7', 'Cache-Control': 'no-store' },
      body: expect.stringContaining('"error":"temporarily_unavailable"'),
      log: { error: 'unavailable', upstream: 'database' },
    });
  }
  expect(told).toEqual([outage, outage, outage, outage, outage]);
});

test('a person is shown a page', async () => {
  const { authorize, resume, callback, interaction } = create(outage);
  for (const handler of [authorize, resume, callback, ...Object.values(interaction)]) {
    expect(await ask(handler as RouteHandler)).toMatchObject({
      status: 503,
      headers: { 'Retry-After': '7', 'Content-Type': 'text/html; charset=utf-8' },
      body: expect.stringContaining('cannot answer at the moment'),
    });
  }
});

test('what is no outage is left as it is', async () => {
  const error = new RequestError('forbidden', 'no');
  await expect(ask(create(error).token)).rejects.toBe(error);
});
