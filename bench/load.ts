/**
 * The load: a closed loop over keep-alive connections, one call in flight on each, written straight to sockets so
 * that the client costs less than the cheapest server that it measures.
 */
import { connect, type Socket } from 'node:net';
import { isRightAnswer, nextId, type CallTemplate } from './wire.ts';

/** What one sample of load saw. */
export interface LoadResult {
  readonly completed: number;
  readonly elapsedMs: number;
  readonly p99Ms: number;
}

/** How long calls in flight may take to end after the last was sent. */
const drainTimeoutMs = 15_000;
const maxAnswerBytes = 1_000_000;

/** Connected, not yet under load. */
export interface Load {
  /**
   * Calls for `durationMs`, then waits for the answers in flight.
   *
   * @throws Error at the first answer that is not right
   */
  run(durationMs: number): Promise<LoadResult>;
  close(): void;
}

/** Calls that go out one after the other, from the first to the last and again, each over a connection of its own. */
export type CallTurns = readonly CallTemplate[];

/** Opens one connection per template; every element has one call in flight. */
export async function createLoad(calls: readonly (CallTemplate | CallTurns)[]): Promise<Load> {
  const turns = await Promise.all(calls.map((each) => openTurns('bytes' in each ? [each] : each)));
  return {
    run: (durationMs) => run(turns, durationMs),
    close: () => {
      for (const connection of turns.flat()) connection.close();
    },
  };
}

function openTurns(templates: CallTurns): Promise<readonly Connection[]> {
  return Promise.all(templates.map((template) => openConnection(template)));
}

async function run(turns: readonly (readonly Connection[])[], durationMs: number): Promise<LoadResult> {
  const latencies: number[] = [];
  const startedAt = performance.now();
  const deadline = startedAt + durationMs;
  let timer: NodeJS.Timeout | undefined;
  const overdue = new Promise<never>((_, reject) => {
    const message = `no answer within ${drainTimeoutMs} ms of the last call`;
    timer = setTimeout(() => reject(new Error(message)), durationMs + drainTimeoutMs);
  });
  try {
    await Promise.race([Promise.all(turns.map((each) => loop(each, deadline, latencies))), overdue]);
  } finally {
    clearTimeout(timer);
  }
  const elapsedMs = performance.now() - startedAt;
  latencies.sort((left, right) => left - right);
  const p99Ms = latencies[Math.floor(latencies.length * 0.99)] ?? 0;
  return { completed: latencies.length, elapsedMs, p99Ms };
}

async function openConnection(template: CallTemplate): Promise<Connection> {
  const socket = connect(template.port, template.host);
  socket.setNoDelay(true);
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  return new Connection(socket, template);
}

function loop(turns: readonly Connection[], deadline: number, latencies: number[]): Promise<void> {
  return new Promise((resolve, reject) => {
    let [sentAt, turn] = [0, 0];
    const send = (): void => {
      sentAt = performance.now();
      turns[turn % turns.length]?.call(onAnswer, reject);
      turn += 1;
    };
    const onAnswer = (): void => {
      const now = performance.now();
      latencies.push(now - sentAt);
      if (now >= deadline) resolve();
      else send();
    };
    send();
  });
}

class Connection {
  readonly #socket: Socket;
  readonly #bytes: Buffer;
  readonly #idOffset: number;
  #received = '';
  #id = 0;
  #onAnswer: (answer: string) => void = () => {};
  #onFailure: (error: Error) => void = () => {};

  constructor(socket: Socket, template: CallTemplate) {
    this.#socket = socket;
    this.#bytes = Buffer.from(template.bytes);
    this.#idOffset = template.idOffset;
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('error', (error) => this.#onFailure(error));
    socket.on('close', () => this.#onFailure(new Error('the server closed a connection')));
  }

  /** Sends the call. Told of the answer, or of what went wrong. */
  call(onAnswer: () => void, onFailure: (error: Error) => void): void {
    this.#onFailure = onFailure;
    this.#onAnswer = (answer) => {
      if (answer.startsWith('HTTP/1.1 200') && isRightAnswer(answer, this.#id)) onAnswer();
      else onFailure(new Error(`a wrong answer: ${answer.slice(0, 600)}`));
    };
    this.#send();
  }

  close(): void {
    this.#onFailure = () => {};
    this.#socket.destroy();
  }

  #send(): void {
    this.#id = nextId();
    this.#bytes.write(String(this.#id), this.#idOffset, 'latin1');
    this.#socket.write(this.#bytes);
  }

  #take(chunk: Buffer): void {
    this.#received += chunk.toString('latin1');
    if (this.#received.length > maxAnswerBytes) this.#onFailure(new Error('an answer is too long'));
    if (!isComplete(this.#received)) return;
    const answer = this.#received;
    this.#received = '';
    this.#onAnswer(answer);
  }
}

/** One call is in flight, so what arrived is a prefix of one answer or all of it. */
function isComplete(received: string): boolean {
  const headEnd = received.indexOf('\r\n\r\n');
  if (headEnd === -1) return false;
  const length = /\r\ncontent-length: *(\d+)/i.exec(received)?.[1];
  if (length === undefined) return received.endsWith('\r\n0\r\n\r\n');
  return received.length >= headEnd + 4 + Number(length);
}
