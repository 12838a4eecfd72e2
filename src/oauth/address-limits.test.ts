import { describe, expect, it } from 'vitest';
import { type FullReply, type HttpRequest, toJsonReply } from '../http/messages.ts';
import type { RouteHandler } from '../http/routes.ts';
import { createMemoryLimits } from '../policy/memory-limits.ts';
import { limitOauthEndpoints } from './address-limits.ts';
import { tokenExchangeGrant } from './grants/token-exchange-grant.ts';
import type { OauthEndpoints } from './oauth-endpoints.ts';

const address = '192.0.2.1';

/** Endpoints that all answer with what the test says. */
function create(toReply: (request: HttpRequest) => FullReply): OauthEndpoints {
  const handler: RouteHandler = (request) => toReply(request);
  const endpoints: OauthEndpoints = {
    authorize: handler,
    resume: handler,
    token: handler,
    register: handler,
    revoke: handler,
    jwks: handler,
    metadata: handler,
    interaction: { show: handler, decide: handler, comeBack: handler },
    callback: handler,
  };
  return limitOauthEndpoints(endpoints, createMemoryLimits({ now: () => 0 }));
}

async function ask(handler: RouteHandler, body = '', clientAddress = address): Promise<FullReply> {
  const reply = await handler({
    method: 'POST',
    path: '/',
    query: '',
    headers: {},
    body,
    requestId: 'r',
    principal: undefined,
    parameters: {},
    clientAddress,
    onClose: () => undefined,
  });
  if (reply.kind !== 'full') throw new Error('not a full reply');
  return reply;
}

const ok = (): FullReply => toJsonReply(200, {});

/** How many are answered before one is refused. */
async function countUntilRefused(handler: RouteHandler, body: string): Promise<number> {
  for (let count = 0; count < 2000; count += 1) if ((await ask(handler, body)).status === 429) return count;
  return Infinity;
}

describe('by address', () => {
  it('six hundred clients are registered, and the next is told when to come back', async () => {
    const { register } = create(ok);
    expect(await countUntilRefused(register, '{}')).toBe(600);
    const refused = await ask(register, '{}');
    expect(refused.headers).toMatchObject({ 'Retry-After': '1', 'Cache-Control': 'no-store' });
    expect(refused.log).toEqual({ error: 'rate_limited', detail: 'limited by address' });
    expect(JSON.parse(refused.body)).toEqual({
      error: 'temporarily_unavailable',
      error_description: expect.any(String),
    });
    expect((await ask(register, '{}', '192.0.2.2')).status).toBe(200);
  });

  it('six hundred sign-ins are begun, and then a page says so', async () => {
    const { authorize } = create(ok);
    expect(await countUntilRefused(authorize, '')).toBe(600);
    expect((await ask(authorize)).body).toContain('Too many attempts');
    expect((await ask(authorize, '', '192.0.2.2')).status).toBe(200);
  });

  it('a hundred passwords are tried, whatever the names, and then a page says so', async () => {
    const { interaction } = create(ok);
    expect(await countUntilRefused(interaction.decide, 'name=ada&password=x&decision=continue')).toBe(100);
    const refused = await ask(interaction.decide, 'name=bob&password=y');
    expect(refused.headers).toMatchObject({
      'Retry-After': '3',
      'Content-Type': expect.stringContaining('html'),
    });
    expect(refused.body).toContain('Too many attempts');
    for (const body of ['', 'decision=allow&tenant=t', 'password=&name=ada', 'password=x&decision=cancel'])
      expect((await ask(interaction.decide, body)).status).toBe(200);
    expect((await ask(interaction.show)).status).toBe(200);
  });

  it.each(['decision=continue&token=t', 'decision=allow&tenant=t', ''])(
    'twelve hundred times a step goes on, which may be to another provider, and then a page says so: %j',
    async (body) => {
      const { interaction } = create(ok);
      expect(await countUntilRefused(interaction.decide, body)).toBe(1200);
      expect((await ask(interaction.decide, body)).body).toContain('Too many attempts');
      for (const other of ['decision=cancel', 'decision=switch', 'name=ada&password=x&decision=continue'])
        expect((await ask(interaction.decide, other)).status).toBe(200);
      expect((await ask(interaction.decide, body, '192.0.2.2')).status).toBe(200);
    },
  );

  it.each<[string, FullReply, string]>([
    ['a client that is not good', toJsonReply(401, { error: 'invalid_client' }), ''],
    ['a grant that is not good', toJsonReply(400, { error: 'invalid_grant' }), 'grant_type=refresh_token'],
    [
      'a subject token that is not good',
      toJsonReply(400, { error: 'invalid_request' }),
      new URLSearchParams({ grant_type: tokenExchangeGrant }).toString(),
    ],
  ])('six hundred tries at a token fail for %s, and then none succeeds', async (_, failure, body) => {
    let reply = failure;
    const { token } = create(() => reply);
    expect(await countUntilRefused(token, body)).toBe(600);
    reply = ok();
    expect(await ask(token, body)).toMatchObject({ status: 429, headers: { 'Retry-After': '1' } });
    expect((await ask(token, body, '192.0.2.2')).status).toBe(200);
  });

  it.each<[string, FullReply]>([
    ['a success', ok()],
    ['a malformed request', toJsonReply(400, { error: 'invalid_request' })],
    ['a refresh in vain', toJsonReply(400, { error: 'interaction_required' })],
    ['a limit of another kind', toJsonReply(429, { error: 'invalid_grant' })],
    ['what is not JSON', { kind: 'full', status: 400, headers: {}, body: 'invalid_grant' }],
    ['nothing', { kind: 'full', status: 401, headers: {}, body: 'null' }],
  ])('%s never counts', async (_, reply) => {
    const { token } = create(() => reply);
    for (let count = 0; count < 100; count += 1) expect((await ask(token)).status).toBe(reply.status);
  });

  it('nothing else is limited', async () => {
    const { resume, revoke, jwks, metadata } = create(ok);
    for (const handler of [resume, revoke, jwks, metadata])
      expect(await countUntilRefused(handler, 'password=x')).toBe(Infinity);
  });
});
