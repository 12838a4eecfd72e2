/**
 * One client over standard input and output, in whichever era it speaks: one JSON-RPC message a line.
 * MCP 2026-07-28 and 2025-11-25, stdio.
 *
 * There is no authentication here: whoever started the process is the caller.
 */
import { randomBytes } from 'node:crypto';
import type { Readable, Writable } from 'node:stream';
import type { Principal } from '../auth/principal.ts';
import { ProtocolError, protocolErrorCodes } from '../errors.ts';
import type { SessionRecord } from '../sessions/session-store.ts';
import { CallReply, createPlainStream, type EventSink, toBatchReplies } from './call-reply.ts';
import { allChanges, concernsTenant, listsToldBy, toNotification } from './change-feed.ts';
import type { ServerChange } from './dispatch-target.ts';
import type { Engine } from './engine.ts';
import { type Incoming, isId, parseBody, renderMessage, renderResult } from './json-rpc.ts';
import { createLegacyProtocol } from './legacy-protocol.ts';
import { readLines } from './lines.ts';
import { openListen, parseListenFilter } from './listen.ts';
import { claimedVersion, parseEnvelope } from './modern-envelope.ts';
import { createModernProtocol } from './modern-protocol.ts';
import { allowsBatches } from './protocol-versions.ts';
import type { JsonRpcId, JsonRpcNotification, JsonRpcRequest } from './protocol-types.ts';
import { toErrorReply } from './rpc-reply.ts';
import type { Caller } from './server-exchange.ts';

/** What a connection reads and writes. */
export interface StdioOptions {
  readonly engine: Engine;
  readonly input: Readable;
  readonly output: Writable;
  /** Longest message in bytes; a longer one is answered with an error and skipped. */
  readonly maxMessageBytes: number;
  /** How long calls may still take once the input has ended. */
  readonly graceMs: number;
}

/** Who calls over stdio: the person or program that started this process. Its tenant is `local`. */
export const stdioPrincipal: Principal = Object.freeze({
  kind: 'service',
  subject: 'stdio',
  credentialId: 'stdio',
  tenantIds: ['local'],
  activeTenantId: 'local',
  role: 'tenant_developer',
  scopes: ['*'],
});

/** Serves the client until its input ends. */
export async function serveStdio(options: StdioOptions): Promise<void> {
  const connection = new StdioConnection(options);
  try {
    for await (const line of readLines(options.input, options.maxMessageBytes)) {
      await connection.receive(line);
    }
  } finally {
    // A client that wrote its requests and closed its end still reads the answers.
    await options.engine.calls.drain(options.graceMs);
    await connection.close();
  }
}

class StdioConnection {
  readonly #engine: Engine;
  readonly #output: Writable;
  readonly #modern;
  readonly #legacy;
  /** Cancellations of this connection find its stateless calls by it. */
  readonly #scope = createScope();
  readonly #stopTellingChanges: readonly (() => void)[];
  /** Replies that a cancellation silences: over stdio a cancelled request gets no response. */
  readonly #replies = new Map<JsonRpcId, { isSilenced: boolean }>();
  readonly #subscriptions = new Map<JsonRpcId, () => void>();
  readonly #touching: NodeJS.Timeout;
  #session: SessionRecord | undefined;
  /** Resolves when `#session` is as the store has it. */
  #refreshed: Promise<void> = Promise.resolve();
  #stopFollowing = async (): Promise<void> => {};
  #received = 0;

  constructor({ engine, output }: StdioOptions) {
    this.#engine = engine;
    this.#output = output;
    this.#modern = createModernProtocol(engine);
    this.#legacy = createLegacyProtocol(engine);
    this.#stopTellingChanges = [
      engine.changes.subscribe((change) => void this.#tell(change)),
      engine.changes.onLost(() => this.#tellAll()),
    ];
    // An open connection is use: its session does not idle away, and ends with it.
    this.#touching = setInterval(() => {
      this.#refreshed = this.#refresh();
    }, engine.limits.keepAliveMs);
    this.#touching.unref();
  }

  /** Takes one line. Resolves when the client may send more. */
  async receive(line: string | undefined): Promise<void> {
    this.#received += 1;
    const caller: Caller = { principal: stdioPrincipal, requestId: `stdio-${this.#received}` };
    let id: JsonRpcId | undefined;
    try {
      if (line === undefined)
        throw new ProtocolError(
          protocolErrorCodes.invalidRequest,
          'Invalid request: the message is too long',
        );
      const body = parseBody(line);
      if (body.kind === 'batch') await this.#receiveBatch(body.messages, caller);
      else {
        id = body.kind === 'request' ? body.message.id : body.kind === 'invalid' ? body.id : undefined;
        await this.#receiveMessage(body, caller);
      }
    } catch (error) {
      this.#write(
        toErrorReply(id, error, { era: 'legacy', requestId: caller.requestId, logger: this.#engine.logger })
          .text,
      );
    }
    await this.#drained();
  }

  async close(): Promise<void> {
    clearInterval(this.#touching);
    for (const stop of this.#stopTellingChanges) stop();
    for (const end of this.#subscriptions.values()) end();
    await this.#endSession();
  }

  async #receiveMessage(incoming: Incoming, caller: Caller): Promise<void> {
    switch (incoming.kind) {
      case 'invalid':
        throw new ProtocolError(protocolErrorCodes.invalidRequest, `Invalid request: ${incoming.problem}`);
      case 'response': {
        if (this.#session !== undefined) await this.#engine.answers.accept(this.#session, incoming.message);
        return;
      }
      case 'notification':
        await this.#notified(incoming.message, caller);
        return;
      case 'request': {
        const { message } = incoming;
        if (claimedVersion(message.params) !== undefined) this.#answerModern(message, caller);
        else if (message.method === 'initialize') await this.#initialize(message, caller);
        // MCP 2025-11-25, Lifecycle, Initialization: a client may ping before it is initialized.
        else if (message.method === 'ping') this.#write(renderResult(message.id, '{}'));
        else this.#answerLegacy(message, await this.#requireSession(), caller);
      }
    }
  }

  async #receiveBatch(messages: readonly Incoming[], caller: Caller): Promise<void> {
    const session = await this.#requireSession();
    if (!allowsBatches(session.protocolVersion)) {
      throw new ProtocolError(
        protocolErrorCodes.invalidRequest,
        `Invalid request: MCP ${session.protocolVersion} has no batches`,
      );
    }
    const requests = messages.flatMap((incoming) => (incoming.kind === 'request' ? [incoming.message] : []));
    const whole = this.#createReply();
    const replies = toBatchReplies(whole, requests.length);
    for (const incoming of messages)
      if (incoming.kind !== 'request') await this.#receiveMessage(incoming, caller);
    requests.forEach((message, index) => {
      const reply = replies[index];
      if (reply !== undefined) this.#legacy.answer(message, { caller, session, reply });
    });
  }

  #answerModern(message: JsonRpcRequest, caller: Caller): void {
    const envelope = parseEnvelope(message.params);
    if (message.method === 'subscriptions/listen') {
      this.#listen(message, caller.principal);
      return;
    }
    this.#modern.answer(message, envelope, {
      caller,
      reply: this.#createReply(message.id),
      scope: this.#scope,
      parameterHeaders: undefined,
    });
  }

  #listen(message: JsonRpcRequest, principal: Principal): void {
    const filter = parseListenFilter(message.params, this.#engine.target.capabilities);
    const forget = (): void => {
      this.#subscriptions.delete(message.id);
    };
    const end = openListen(this.#engine, message, filter, {
      principal,
      stream: {
        write: (text) => {
          this.#write(text);
        },
        finish: (text) => {
          forget();
          this.#write(text);
        },
        keepAlive: () => {},
      },
    });
    this.#subscriptions.set(message.id, () => {
      forget();
      end();
    });
  }

  async #initialize(message: JsonRpcRequest, caller: Caller): Promise<void> {
    await this.#endSession();
    const ttlMs = Number.POSITIVE_INFINITY;
    const { session, reply } = await this.#legacy.initialize(message, caller, createScope(), ttlMs);
    this.#session = session;
    this.#stopFollowing = await this.#engine.bus.subscribe(`session.${session.id}`, (news) => {
      if (news === 'changed') this.#refreshed = this.#refresh();
    });
    this.#write(reply.text);
  }

  async #endSession(): Promise<void> {
    const session = this.#session;
    if (session === undefined) return;
    this.#session = undefined;
    await this.#stopFollowing();
    await this.#legacy.end(session.id);
  }

  async #refresh(): Promise<void> {
    const id = this.#session?.id;
    if (id === undefined) return;
    try {
      const record = await this.#engine.sessions.load(id);
      if (record !== undefined && this.#session?.id === id) this.#session = record;
    } catch (error) {
      this.#engine.logger.error('mcp.session_not_refreshed', {}, error);
    }
  }

  async #tell(change: ServerChange): Promise<void> {
    await this.#refreshed;
    const session = this.#session;
    if (session === undefined || !concernsTenant(change, session.tenantId)) return;
    if (change.kind === 'resource_updated' && !session.subscriptions.includes(change.uri)) return;
    this.#write(renderMessage(toNotification(change)));
  }

  /** Messages may have been lost: of changes, and that what the session subscribes to is another. */
  async #tellAll(): Promise<void> {
    this.#refreshed = this.#refresh();
    await this.#refreshed;
    const uris = this.#session?.subscriptions ?? [];
    for (const change of allChanges(listsToldBy(this.#engine.target.capabilities), uris))
      await this.#tell(change);
  }

  #answerLegacy(message: JsonRpcRequest, session: SessionRecord, caller: Caller): void {
    this.#legacy.answer(message, { caller, session, reply: this.#createReply(message.id) });
  }

  async #notified(notification: JsonRpcNotification, caller: Caller): Promise<void> {
    const cancelled =
      notification.method === 'notifications/cancelled' ? notification.params?.['requestId'] : undefined;
    if (isId(cancelled)) {
      const reply = this.#replies.get(cancelled);
      if (reply !== undefined) reply.isSilenced = true;
      this.#subscriptions.get(cancelled)?.();
      await this.#engine.calls.cancel(this.#scope, cancelled);
      if (this.#session !== undefined) await this.#engine.calls.cancel(this.#session.id, cancelled);
      return;
    }
    if (this.#session !== undefined) await this.#legacy.notified(notification, this.#session, caller);
  }

  /** The session as it is now; an earlier message may have changed it. */
  async #requireSession(): Promise<SessionRecord> {
    const opened = this.#session;
    if (opened === undefined)
      throw new ProtocolError(protocolErrorCodes.invalidRequest, 'Invalid request: send initialize first');
    const session = await this.#engine.sessions.load(opened.id);
    if (session === undefined)
      throw new ProtocolError(
        protocolErrorCodes.invalidRequest,
        'The session has expired; send initialize again',
      );
    this.#session = session;
    return session;
  }

  /** All messages share one channel, so whether an answer is a stream makes no difference on the wire. */
  #createReply(id?: JsonRpcId): CallReply {
    const entry = { isSilenced: false };
    if (id !== undefined) this.#replies.set(id, entry);
    const reply = new CallReply(createPlainStream);
    const write = (text: string): void => {
      if (!entry.isSilenced) this.#write(text);
    };
    const forget = (): void => {
      if (id !== undefined && this.#replies.get(id) === entry) this.#replies.delete(id);
    };
    void reply.outcome.then((outcome) => {
      if (outcome.kind === 'stream') {
        outcome.stream.attach(toLineSink(write, forget));
        return;
      }
      write(outcome.text);
      forget();
    });
    return reply;
  }

  #write(text: string): void {
    this.#output.write(`${text}\n`);
  }

  /** A client that does not read what it is sent is not read from either. */
  #drained(): Promise<void> {
    if (!this.#output.writableNeedDrain) return Promise.resolve();
    return new Promise((resolve) => {
      this.#output.once('drain', resolve);
      this.#output.once('close', resolve);
    });
  }
}

function createScope(): string {
  return `stdio-${randomBytes(9).toString('base64url')}`;
}

function toLineSink(write: (text: string) => void, onEnd: () => void): EventSink {
  return {
    isOpen: true,
    send: ({ data }) => {
      write(data);
      return true;
    },
    keepAlive: () => {},
    end: onEnd,
    onClose: () => {},
  };
}
