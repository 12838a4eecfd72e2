import { type Askable, bodyOf, headerOf } from './authorization-server.ts';
import type { FullReply } from '../src/http/messages.ts';

const modernVersion = '2026-07-28';
const clientInfo = { name: 'caller', version: '1' };

/** A client's side of the MCP endpoint, as its revision has it, with whatever token it has at the time. */
export class McpCaller {
  token: string | undefined;
  readonly #open: Askable;
  readonly #version: string;
  readonly #isModern: boolean;
  #sessionId: string | undefined;
  #lastId = 0;

  constructor(open: Askable, version: string) {
    this.#open = open;
    this.#version = version;
    this.#isModern = version === modernVersion;
  }

  /** Says what a client says first; in a revision that has sessions it opens one. */
  async greet(): Promise<FullReply> {
    if (this.#isModern) return this.#request('server/discover', {});
    const reply = await this.#request('initialize', {
      protocolVersion: this.#version,
      capabilities: {},
      clientInfo,
    });
    if (reply.status !== 200) return reply;
    this.#sessionId = headerOf(reply, 'mcp-session-id');
    if (this.#sessionId === undefined) throw new Error('no session was opened');
    const noticed = await this.#post({ method: 'notifications/initialized' });
    if (noticed.status !== 202) throw new Error(`not initialized: ${noticed.status} ${noticed.body}`);
    return reply;
  }

  /** In the session that was opened, if there is one. */
  callTool(name: string): Promise<FullReply> {
    return this.#request('tools/call', { name, arguments: {} });
  }

  #request(method: string, params: Readonly<Record<string, unknown>>): Promise<FullReply> {
    this.#lastId += 1;
    if (!this.#isModern) return this.#post({ id: this.#lastId, method, params });
    const _meta = {
      'io.modelcontextprotocol/protocolVersion': this.#version,
      'io.modelcontextprotocol/clientInfo': clientInfo,
      'io.modelcontextprotocol/clientCapabilities': {},
    };
    return this.#post(
      { id: this.#lastId, method, params: { ...params, _meta } },
      {
        'mcp-protocol-version': this.#version,
        'mcp-method': method,
        ...(typeof params['name'] === 'string' && { 'mcp-name': params['name'] }),
      },
    );
  }

  #post(
    message: Readonly<Record<string, unknown>>,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<FullReply> {
    return this.#open.ask('/mcp', {
      headers: {
        accept: 'application/json, text/event-stream',
        ...(this.token !== undefined && { authorization: `Bearer ${this.token}` }),
        ...(this.#sessionId !== undefined && {
          'mcp-session-id': this.#sessionId,
          'mcp-protocol-version': this.#version,
        }),
        ...headers,
      },
      body: JSON.stringify({ jsonrpc: '2.0', ...message }),
    });
  }
}

/** The result in a reply: in its body, or the last event of its stream when it took the host longer. */
export function resultOf(reply: FullReply): unknown {
  if (headerOf(reply, 'content-type')?.startsWith('text/event-stream') !== true)
    return bodyOf(reply)['result'];
  const [, last = ''] = [...reply.body.matchAll(/^data: (.+)$/gm)].at(-1) ?? [];
  return bodyOf({ ...reply, body: last })['result'];
}

/** The parameters of a `WWW-Authenticate` header. RFC 9110, section 11.6.1. */
export function challengeOf(reply: FullReply): Readonly<Record<string, string>> {
  const [scheme, rest = ''] = (headerOf(reply, 'www-authenticate') ?? '').split(/ (.*)/s, 2);
  if (scheme !== 'Bearer') throw new Error(`no challenge, but ${reply.status} ${reply.body}`);
  return Object.fromEntries(
    [...rest.matchAll(/([a-z_]+)="([^"]*)"/g)].map(([, name = '', value = '']) => [name, value]),
  );
}
