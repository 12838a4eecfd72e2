/**
 * One modern request over its rounds (MCP 2026-07-28, Multi Round-Trip Requests): the answers that came with it, the
 * values kept from earlier rounds, and the questions still open.
 *
 * The state travels through the client, sealed: bound to the principal and to this very request, and it expires. It is
 * good for one run: see `single-use-state`.
 */
import { createHash } from 'node:crypto';
import { ProtocolError, protocolErrorCodes } from '../errors.ts';
import { checkAnswer, requireCapability } from './client-questions.ts';
import type { ClientQuestion } from './dispatch-target.ts';
import { InputRequired } from './input-required.ts';
import { isRecord } from './json-rpc.ts';
import type { ClientCapabilities } from './protocol-types.ts';
import type { SealedBox } from './sealed-box.ts';
import { type PresentedState, toInvalidState, toPresentedState } from './single-use-state.ts';

/** Bytes of values that a call may keep over its rounds. */
export const maxRememberedBytes = 16_384;

/** Most questions of one call. */
export const maxQuestions = 50;

/** What the rounds of a request need from outside. */
export interface RoundsOptions {
  readonly box: SealedBox;
  readonly ttlSeconds: number;
  /** See `toPrincipalKey`. */
  readonly principalKey: string;
}

/** A state and how it came. */
interface ParsedState {
  readonly state: RoundState;
  /** Absent in a first round. */
  readonly presented?: PresentedState;
}

interface RoundState {
  /** Answers of earlier rounds by question key. */
  readonly answers: Record<string, unknown>;
  /** Values of `once` by key. */
  readonly values: Record<string, string>;
  /** Rounds so far: makes each state different from the one before. */
  readonly round: number;
}

const purpose = 'request-state';

/** The rounds of one request. */
export class CallRounds {
  /** The state that came with the request; `undefined` in a first round. */
  readonly presented: PresentedState | undefined;
  readonly #options: RoundsOptions;
  readonly #boundTo: string;
  readonly #inputResponses: Readonly<Record<string, unknown>>;
  readonly #state: RoundState;
  readonly #open = new Map<string, ClientQuestion>();
  #suspended: Promise<never> | undefined;

  private constructor(
    options: RoundsOptions,
    boundTo: string,
    inputResponses: Record<string, unknown>,
    { state, presented }: ParsedState,
  ) {
    this.presented = presented;
    this.#options = options;
    this.#boundTo = boundTo;
    this.#inputResponses = inputResponses;
    this.#state = state;
  }

  /**
   * @param params of the request, `inputResponses` and `requestState` included
   * @throws ProtocolError `-32602` for a state that was altered, expired, or made for another caller or request
   */
  static parse(
    method: string,
    params: Readonly<Record<string, unknown>>,
    options: RoundsOptions,
  ): CallRounds {
    const { requestState, inputResponses } = params;
    if (inputResponses !== undefined && !isRecord(inputResponses)) {
      throw new ProtocolError(
        protocolErrorCodes.invalidParams,
        'Invalid params: inputResponses must be an object',
      );
    }
    const boundTo = `${options.principalKey} ${digestRequest(method, params)}`;
    return new CallRounds(
      options,
      boundTo,
      inputResponses ?? {},
      parseState(requestState, boundTo, options.box),
    );
  }

  /** Whether anything was asked that has no answer yet. */
  get isSuspended(): boolean {
    return this.#open.size > 0;
  }

  /** The answer to a question, or a rejection with `InputRequired` once all questions asked together are in. */
  async ask(
    question: ClientQuestion,
    capabilities: ClientCapabilities,
  ): Promise<Readonly<Record<string, unknown>>> {
    requireCapability(question, capabilities);
    const { key } = question;
    const known = Object.hasOwn(this.#inputResponses, key)
      ? this.#inputResponses[key]
      : own(this.#state.answers, key);
    if (known !== undefined) {
      const checked = await checkAnswer(question, known);
      if (checked.isValid) {
        this.#state.answers[key] = checked.answer;
        return checked.answer;
      }
      // An answer that will not do is asked for again. MCP 2026-07-28, MRTR, Error Handling.
      delete this.#state.answers[key];
    }
    if (this.#open.size >= maxQuestions)
      throw new RangeError(`a call may ask at most ${maxQuestions} questions`);
    this.#open.set(key, question);
    this.#suspended ??= new Promise((_resolve, reject) => {
      setImmediate(() => {
        reject(new InputRequired());
      });
    });
    return this.#suspended;
  }

  recall(key: string): string | undefined {
    return own(this.#state.values, key);
  }

  /** @throws RangeError past `maxRememberedBytes` */
  remember(key: string, value: string): void {
    this.#state.values[key] = value;
    if (Buffer.byteLength(JSON.stringify(this.#state.values)) > maxRememberedBytes) {
      throw new RangeError(`the values that a call keeps may take at most ${maxRememberedBytes} bytes`);
    }
  }

  /** The open questions and the sealed state: fields of an `InputRequiredResult`. */
  toInputRequired(): { readonly inputRequests: Record<string, unknown>; readonly requestState: string } {
    const inputRequests = toKeyed<unknown>({});
    for (const [key, { method, params }] of this.#open) inputRequests[key] = { method, params };
    const state: RoundState = { ...this.#state, round: this.#state.round + 1 };
    return { inputRequests, requestState: this.#seal(state) };
  }

  #seal(state: RoundState): string {
    const { box, ttlSeconds } = this.#options;
    try {
      return box.seal(JSON.stringify(state), { purpose, boundTo: this.#boundTo, ttlSeconds });
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      // What an author keeps has its own bound, far below: it is the client's answers that are too long.
      throw new ProtocolError(
        protocolErrorCodes.invalidParams,
        'Invalid params: the answers so far are too long to be carried to the next round; send shorter ones',
      );
    }
  }
}

function parseState(sealed: unknown, boundTo: string, box: SealedBox): ParsedState {
  if (sealed === undefined) return { state: { answers: toKeyed({}), values: toKeyed({}), round: 0 } };
  const opened = typeof sealed === 'string' ? box.openDated(sealed, { purpose, boundTo }) : undefined;
  if (typeof sealed !== 'string' || opened === undefined) throw toInvalidState();
  // Only this class seals with this purpose, so what opens has this shape.
  const { answers, values, round } = JSON.parse(opened.value) as RoundState;
  return {
    state: { answers: toKeyed(answers), values: toKeyed(values), round },
    presented: toPresentedState(sealed, opened.expiresAt),
  };
}

/** A record whose keys an author chooses: without a prototype, where a key could mean something else. */
function toKeyed<Value>(record: Readonly<Record<string, Value>>): Record<string, Value> {
  return Object.assign(Object.create(null) as Record<string, Value>, record);
}

/** What a request is about: its method, name or URI, and arguments, whatever the order of their keys. */
export function digestRequest(method: string, params: Readonly<Record<string, unknown>>): string {
  const salient = JSON.stringify([
    method,
    params['name'],
    params['uri'],
    sortKeys(params['arguments'] ?? {}),
  ]);
  return createHash('sha256').update(salient).digest('base64url');
}

function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (!isRecord(value)) return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, sortKeys(value[key])]),
  );
}

function own<Value>(record: Readonly<Record<string, Value>>, key: string): Value | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}
