/** The only door to `node:http`: sockets, their limits and their end. What is said on them is decided elsewhere. */
import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  STATUS_CODES,
} from 'node:http';
import { type AddressInfo, Server as NetServer, type Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { ConfigError, RequestError } from '../errors.ts';
import { NodeCall, type NodeCallContext } from './node-call.ts';
import { defaultNodeServerLimits, type NodeServerLimits } from './node-server-limits.ts';
import type { HttpEdge } from './pipeline.ts';

/** Where a server listens. */
export interface ListenAddress {
  readonly host: string;
  /** As taken: never 0. */
  readonly port: number;
}

/** What a server depends on. */
export interface NodeServerOptions {
  /** An IP address or a host name. */
  readonly host: string;
  /** 0 takes any free one. */
  readonly port: number;
  /** Called once, before the first request: what depends on the port is known then. */
  readonly createEdge: (address: ListenAddress) => HttpEdge;
  readonly limits?: Partial<NodeServerLimits>;
}

/** A server that listens. */
export interface NodeServer {
  readonly address: ListenAddress;
  /** True from the first moment of `quiesce` or `close`. Replies then say that their connection ends. */
  readonly isStopping: boolean;
  /** Requests whose reply is not complete, open streams included. */
  readonly callCount: number;
  /** Calls back when `close` begins, so that open streams can be ended. */
  onStop(listener: () => void): void;
  /**
   * Stops accepting and lets idle connections wait for a last request, so that what a balancer has just sent on one is
   * answered. What is idle still is ended by `close`.
   *
   * @param withinMs at most; no longer than `stopIdleMs` either
   * @returns settles at once when no connection is idle, or as soon as none is any more
   */
  quiesce(withinMs: number): Promise<void>;
  /**
   * Stops accepting, ends idle connections, calls the `onStop` listeners, waits for the rest and then destroys it.
   *
   * @param graceMs how long requests in flight may take
   * @returns how many requests had to be cut off
   */
  close(graceMs: number): Promise<number>;
}

/** Most turns of the event loop that wait for connections which the system accepted: it hands over one in each. */
const maxAcceptTurns = 1000;

/**
 * Starts to listen.
 *
 * @throws ConfigError the address cannot be listened on
 */
export function startNodeServer(options: NodeServerOptions): Promise<NodeServer> {
  const limits = { ...defaultNodeServerLimits, ...options.limits };
  const server = createServer({
    maxHeaderSize: limits.maxHeaderBytes,
    headersTimeout: Math.min(limits.headersTimeoutMs, limits.requestTimeoutMs),
    requestTimeout: limits.requestTimeoutMs,
    // To Node, 0 means for ever.
    keepAliveTimeout: Math.max(1, limits.keepAliveTimeoutMs),
    connectionsCheckingInterval: Math.min(1000, limits.headersTimeoutMs),
    // Notices a client that vanished without a word while its stream was silent.
    keepAlive: true,
    keepAliveInitialDelay: 60_000,
  });
  // Node would drop the headers past the limit without a word; one more than the limit is kept to be noticed.
  server.maxHeadersCount = limits.maxHeaders + 1;
  if (limits.maxConnections !== undefined) server.maxConnections = limits.maxConnections;
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(toListenError(error, options));
    });
    server.listen({ host: options.host.replace(/^\[|\]$/g, ''), port: options.port }, () => {
      server.removeAllListeners('error');
      // A TCP server's address is always an object.
      const { address, port } = server.address() as AddressInfo;
      try {
        resolve(
          new ListeningServer({
            server,
            limits,
            address: { host: address, port },
            createEdge: options.createEdge,
          }),
        );
      } catch (error) {
        server.close();
        reject(error);
      }
    });
  });
}

interface ListeningServerOptions {
  readonly server: Server;
  readonly limits: NodeServerLimits;
  readonly address: ListenAddress;
  readonly createEdge: (address: ListenAddress) => HttpEdge;
}

class ListeningServer implements NodeServer, NodeCallContext {
  readonly address: ListenAddress;
  readonly edge: HttpEdge;
  readonly limits: NodeServerLimits;
  isStopping = false;
  readonly #server: Server;
  readonly #calls: Set<NodeCall> = new Set();
  readonly #sockets: Set<Socket> = new Set();
  /** Requests that wait for an earlier one of their connection; only pipelining clients appear here. */
  readonly #queued: WeakMap<Socket, number> = new WeakMap();
  readonly #stopListeners: (() => void)[] = [];
  #acceptedCount = 0;
  #onCallEnded: (() => void) | undefined = undefined;
  #onLessIdle: (() => void) | undefined = undefined;
  #closed: Promise<void> | undefined = undefined;
  #quiescing: Promise<void> | undefined = undefined;
  #closing: Promise<number> | undefined = undefined;

  constructor({ server, limits, address, createEdge }: ListeningServerOptions) {
    this.address = address;
    this.limits = limits;
    this.#server = server;
    this.edge = createEdge(address);
    server.on('error', (error) => {
      // A connection that could not be accepted, e.g. for want of file descriptors: logged, and the next may succeed.
      this.edge.refuseConnection(error);
    });
    server.on('connection', (socket: Socket) => {
      // Gone before it was accepted: what it sent may still be read, and would come from nowhere.
      if (socket.remoteAddress === undefined) socket.destroy();
      this.#sockets.add(socket);
      this.#acceptedCount += 1;
      socket.once('close', () => {
        this.#sockets.delete(socket);
        this.#onLessIdle?.();
      });
    });
    server.on('request', (request, response) => {
      this.#start(request, response, false);
    });
    server.on('checkContinue', (request, response) => {
      this.#start(request, response, true);
    });
    server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
      // An HTTP server's sockets are TCP sockets.
      this.#onClientError(error, socket as Socket);
    });
  }

  get callCount(): number {
    return this.#calls.size;
  }

  onStop(listener: () => void): void {
    this.#stopListeners.push(listener);
  }

  ended(call: NodeCall): void {
    this.#calls.delete(call);
    if (this.#closing !== undefined) this.#endConnection(call.request);
    this.#onCallEnded?.();
  }

  quiesce(withinMs: number): Promise<void> {
    this.#quiescing ??= this.#quiesce(withinMs);
    return this.#quiescing;
  }

  close(graceMs: number): Promise<number> {
    this.#closing ??= this.#close(graceMs);
    return this.#closing;
  }

  #start(request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): void {
    const call = new NodeCall(this, request, { response, expectsContinue });
    this.#calls.add(call);
    this.#onLessIdle?.();
    // Without a socket the response waits behind another.
    if (response.socket === null && !this.#queue(call, request.socket)) return;
    call.start();
  }

  /** Node tells a waiting response neither when its turn comes nor that its client left. */
  #queue(call: NodeCall, socket: Socket): boolean {
    const waiting = (this.#queued.get(socket) ?? 0) + 1;
    const abandon = (): void => {
      call.abandon();
    };
    if (waiting > this.limits.maxPipelinedRequests) {
      abandon();
      socket.destroy();
      return false;
    }
    this.#queued.set(socket, waiting);
    socket.once('close', abandon);
    call.response.once('close', () => {
      this.#queued.set(socket, (this.#queued.get(socket) ?? 1) - 1);
      socket.removeListener('close', abandon);
    });
    return true;
  }

  /** Bytes that are not a request, or did not become one in time. */
  #onClientError(error: NodeJS.ErrnoException, socket: Socket): void {
    const calls = [...this.#calls].filter((call) => call.request.socket === socket);
    const [call] = calls;
    // Whatever were written now would be taken for the reply to a request that is still being answered.
    const mayReply = call === undefined || (calls.length === 1 && call.isReadingBody && !call.isReplying);
    if (error.code === 'ECONNRESET' || !socket.writable || !mayReply) {
      socket.destroy();
      return;
    }
    const { reply, requestId } = this.edge.refuseConnection(toRequestError(error));
    const head = [
      `HTTP/1.1 ${reply.status} ${STATUS_CODES[reply.status] ?? ''}`,
      ...Object.entries(reply.headers).map(([name, value]) => `${name}: ${value}`),
      `X-Request-Id: ${requestId}`,
      `Content-Length: ${Buffer.byteLength(reply.body)}`,
      'Connection: close',
    ];
    socket.end(`${head.join('\r\n')}\r\n\r\n${reply.body}`, () => socket.destroy());
  }

  async #quiesce(withinMs: number): Promise<void> {
    this.isStopping = true;
    await this.#acceptWaiting();
    void this.#stopAccepting();
    await this.#waitForIdle(Math.min(withinMs, this.limits.stopIdleMs));
  }

  /** Connections that the system accepted and did not hand over yet would be reset when it stops listening. */
  async #acceptWaiting(): Promise<void> {
    let before: number;
    let turns = 0;
    do {
      before = this.#acceptedCount;
      // The first ends in this turn, the second after another look for connections.
      await setImmediate();
      await setImmediate();
      turns += 1;
    } while (this.#acceptedCount > before && turns < maxAcceptTurns);
  }

  #stopAccepting(): Promise<void> {
    // Not `http.Server.close`: that one also cuts replies that are written but not yet sent.
    this.#closed ??= new Promise<void>((resolve) => {
      NetServer.prototype.close.call(this.#server, () => {
        resolve();
      });
    });
    return this.#closed;
  }

  #waitForIdle(waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const finish = (): void => {
        this.#onLessIdle = undefined;
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(finish, waitMs);
      this.#onLessIdle = (): void => {
        if (this.#findIdle().length === 0 && ![...this.#calls].some(({ keepsConnection }) => keepsConnection))
          finish();
      };
      this.#onLessIdle();
    });
  }

  async #close(graceMs: number): Promise<number> {
    this.isStopping = true;
    const closed = this.#stopAccepting();
    for (const listener of this.#stopListeners) listener();
    for (const socket of this.#findIdle()) socket.destroySoon();
    await this.#waitForCalls(graceMs);
    const cut = this.#calls.size;
    for (const socket of this.#sockets) socket.destroy();
    await closed;
    // Ends Node's own timer; the error that it is closed already is of no interest.
    this.#server.close(() => {});
    return cut;
  }

  #waitForCalls(graceMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, graceMs);
      this.#onCallEnded = (): void => {
        if (this.#calls.size > 0) return;
        clearTimeout(timer);
        // Lets a reply that was just handed over reach the kernel before its socket is destroyed.
        void setImmediate().then(resolve);
      };
      this.#onCallEnded();
    });
  }

  /**
   * A reply that began before the stop did not say that its connection ends: a balancer would send a request on it,
   * which might run and be cut.
   */
  #endConnection({ complete, socket }: IncomingMessage): void {
    const isIdle = complete && (this.#queued.get(socket) ?? 0) === 0;
    if (isIdle) socket.destroySoon();
  }

  #findIdle(): readonly Socket[] {
    const busy = new Set([...this.#calls].map((call) => call.request.socket));
    return [...this.#sockets].filter((socket) => !busy.has(socket));
  }
}

function toRequestError(error: NodeJS.ErrnoException): RequestError {
  switch (error.code) {
    case 'HPE_HEADER_OVERFLOW':
      return new RequestError('headers_too_large', 'The headers of the request are too large.');
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return new RequestError('body_too_large', 'The chunk extensions of the request are too large.');
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new RequestError('request_timeout', 'The request did not arrive in time.');
    default:
      return new RequestError('request_invalid', 'This is not a valid HTTP/1.1 request.', {
        detail: error.code ?? error.message,
      });
  }
}

function toListenError(error: NodeJS.ErrnoException, { host, port }: NodeServerOptions): Error {
  switch (error.code) {
    case 'EADDRINUSE':
      return new ConfigError([
        {
          setting: 'PORT',
          problem: `port ${port} on ${host} is taken by another program; stop it or choose another port`,
        },
      ]);
    case 'EACCES':
      return new ConfigError([
        { setting: 'PORT', problem: `listening on port ${port} is not permitted; choose one from 1024 up` },
      ]);
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new ConfigError([{ setting: 'HOST', problem: `${host} is not an address of this machine` }]);
    default:
      return error;
  }
}
