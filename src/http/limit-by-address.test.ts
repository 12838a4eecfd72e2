import { describe, expect, it } from 'vitest';
import { RequestError, UpstreamError } from '../errors.ts';
import type { Limits } from '../policy/limits.ts';
import { createMemoryLimits } from '../policy/memory-limits.ts';
import { type AddressLimitOptions, limitAttempts, limitFailures } from './limit-by-address.ts';
import { type HttpReply, type HttpRequest, toJsonReply } from './messages.ts';
import type { RouteHandler } from './routes.ts';

const limit = { capacity: 2, windowMs: 10_000 };

function from(clientAddress: string | undefined, body = ''): HttpRequest {
  return {
    method: 'POST',
    path: '/token',
    query: '',
    headers: {},
    body,
    requestId: 'r',
    principal: undefined,
    parameters: {},
    clientAddress,
    onClose: () => undefined,
  };
}

function create(limits: Limits = createMemoryLimits()): AddressLimitOptions & { readonly limits: Limits } {
  return { limits, what: 'test', limit, refuse: (seconds) => toJsonReply(429, seconds) };
}

/** Answers with the status that the body names; throws what is negative. */
const answer: RouteHandler = ({ body }) => {
  if (body === '-401') throw new RequestError('invalid_token', 'no');
  if (body === '-403') throw new RequestError('forbidden', 'no');
  return toJsonReply(Number(body), null);
};

const ask = async (handler: RouteHandler, request: HttpRequest): Promise<number> => {
  try {
    return (await handler(request)).status;
  } catch (error) {
    if (error instanceof RequestError) return -error.status;
    throw error;
  }
};

const noLimits: Limits = {
  take: () => Promise.reject(new UpstreamError('redis', 'gone')),
  look: () => Promise.reject(new UpstreamError('redis', 'gone')),
  reset: () => Promise.reject(new UpstreamError('redis', 'gone')),
};

describe('a limit on attempts', () => {
  it('refuses what is one too many of an address, and tells when to come back', async () => {
    let now = 0;
    const handler = limitAttempts(answer, create(createMemoryLimits({ now: () => now })));
    expect(await ask(handler, from('192.0.2.1', '200'))).toBe(200);
    expect(await ask(handler, from('192.0.2.1', '-401'))).toBe(-401);
    expect(await handler(from('192.0.2.1', '200'))).toMatchObject({ status: 429, body: '5' });
    expect(await ask(handler, from('192.0.2.2', '200'))).toBe(200);
    now += 5000;
    expect(await ask(handler, from('192.0.2.1', '200'))).toBe(200);
  });

  it('takes the first 64 bits of IPv6 for one address', async () => {
    const handler = limitAttempts(answer, create());
    for (const host of ['::1', '::2']) expect(await ask(handler, from(`2001:db8${host}`, '200'))).toBe(200);
    expect(await ask(handler, from('2001:db8::3:4:5:6', '200'))).toBe(429);
    expect(await ask(handler, from('2001:db8:0:1::3', '200'))).toBe(200);
  });

  it('lets through exactly as many as it may of those that come at once', async () => {
    const handler = limitAttempts(answer, create());
    const statuses = await Promise.all(
      Array.from({ length: 9 }, () => ask(handler, from('192.0.2.1', '200'))),
    );
    expect(statuses.filter((status) => status === 200)).toHaveLength(2);
  });

  it('counts nothing that is no attempt, and nothing from where nobody knows', async () => {
    const handler = limitAttempts(answer, { ...create(), isAttempt: ({ body }) => body !== '204' });
    for (let count = 0; count < 9; count += 1) {
      expect(await ask(handler, from('192.0.2.1', '204'))).toBe(204);
      expect(await ask(handler, from(undefined, '200'))).toBe(200);
    }
    expect(await ask(handler, from('192.0.2.1', '200'))).toBe(200);
  });

  it('refuses when it cannot be counted', async () => {
    const handler = limitAttempts(answer, create(noLimits));
    await expect(handler(from('192.0.2.1', '200'))).rejects.toThrow(UpstreamError);
  });
});

describe('a limit on failures', () => {
  const isFailure = (_: HttpRequest, { status }: HttpReply): boolean => status === 400;

  it('never counts what succeeds, at once or one by one', async () => {
    const handler = limitFailures(answer, { ...create(), isFailure });
    for (let count = 0; count < 9; count += 1)
      for (const body of ['200', '404', '-403'])
        expect(await ask(handler, from('192.0.2.1', body))).toBe(Number(body));
    const statuses = await Promise.all(
      Array.from({ length: 9 }, () => ask(handler, from('192.0.2.1', '200'))),
    );
    expect(new Set(statuses)).toEqual(new Set([200]));
  });

  it('refuses even what would succeed once too much has failed, and nobody else', async () => {
    let now = 0;
    const handler = limitFailures(answer, { ...create(createMemoryLimits({ now: () => now })), isFailure });
    expect(await ask(handler, from('192.0.2.1', '400'))).toBe(400);
    expect(await ask(handler, from('192.0.2.1', '-401'))).toBe(-401);
    expect(await handler(from('192.0.2.1', '200'))).toMatchObject({ status: 429, body: '5' });
    expect(await ask(handler, from('192.0.2.2', '200'))).toBe(200);
    now += 5000;
    expect(await ask(handler, from('192.0.2.1', '200'))).toBe(200);
  });

  it('counts where a request came from although its client has left by then', async () => {
    const request = { ...from('192.0.2.1', '400') };
    const leave = (): RouteHandler => (asked) => {
      Object.assign(request, { clientAddress: undefined });
      return answer(asked);
    };
    const handler = limitFailures(leave(), { ...create(), isFailure });
    for (const clientAddress of ['192.0.2.1', '192.0.2.1'])
      await ask(handler, Object.assign(request, { clientAddress }));
    expect(await ask(handler, from('192.0.2.1', '200'))).toBe(429);
  });

  it('limits nothing from where nobody knows', async () => {
    const handler = limitFailures(answer, { ...create(), isFailure });
    for (let count = 0; count < 9; count += 1) expect(await ask(handler, from(undefined, '400'))).toBe(400);
  });

  it('refuses when it cannot be counted', async () => {
    const handler = limitFailures(answer, { ...create(noLimits), isFailure });
    await expect(handler(from('192.0.2.1', '200'))).rejects.toThrow(UpstreamError);
  });
});
