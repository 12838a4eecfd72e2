/**
 * Questions to legacy clients that wait for an answer. The answer may reach any instance: a question's id starts with
 * the id of the instance that waits, so no lookup is needed to pass it on.
 */
import { ProtocolError, protocolErrorCodes, RequestError } from '../errors.ts';
import type { MessageBus } from '../sessions/message-bus.ts';
import type { SessionRecord } from '../sessions/session-store.ts';
import { checkAnswer, requireCapability } from './client-questions.ts';
import type { ClientQuestion } from './dispatch-target.ts';
import { isRecord, renderMessage } from './json-rpc.ts';
import type { ClientCapabilities, JsonRpcResponse } from './protocol-types.ts';
import { ToolError } from './tool-result.ts';

/** Most questions that wait at once on one instance. */
export const maxWaitingQuestions = 10_000;

/** Whose question or answer it is: a session, and the principal that it belongs to. */
export type Party = Pick<SessionRecord, 'id' | 'principalKey'>;

/** Who is asked, and how. */
export interface QuestionRoute {
  readonly party: Party;
  readonly capabilities: ClientCapabilities;
  readonly signal: AbortSignal;
  /** Sends the request to the client. */
  readonly send: (message: string) => void;
}

/** See the file's head. */
export interface ClientAnswers {
  ask(question: ClientQuestion, route: QuestionRoute): Promise<Readonly<Record<string, unknown>>>;
  /**
   * Takes a client's response, or passes it to the instance that waits for it. One nobody waits for is dropped, and so is
   * one of another party: it may be called before it is known whether there is such a session.
   *
   * @throws RequestError `body_too_large` for one that must be passed on and is longer than the bus carries
   */
  accept(party: Party, response: JsonRpcResponse): Promise<void>;
  close(): Promise<void>;
}

interface Waiting {
  readonly party: Party;
  settle(response: JsonRpcResponse): void;
}

/**
 * @param options.instanceId without a dot
 * @param options.timeoutMs for questions that do not say how long they wait
 */
export async function createClientAnswers(options: {
  readonly bus: MessageBus;
  readonly instanceId: string;
  readonly timeoutMs: number;
}): Promise<ClientAnswers> {
  const { bus, instanceId } = options;
  const waiting = new Map<string, Waiting>();
  let lastId = 0;
  const take = ({ id, principalKey }: Party, response: JsonRpcResponse): void => {
    const found = waiting.get(String(response.id));
    // An answer from another session, or to somebody else's, is not an answer: it may be a guess.
    if (found?.party.id === id && found.party.principalKey === principalKey) found.settle(response);
  };
  const unsubscribe = await bus.subscribe(`instance.${instanceId}`, (message) => {
    // The bus carries only what `accept` of an instance put on it.
    const { party, response } = JSON.parse(message) as { party: Party; response: JsonRpcResponse };
    take(party, response);
  });
  return {
    ask: async (question, route) => {
      requireCapability(question, route.capabilities);
      if (waiting.size >= maxWaitingQuestions)
        throw new ToolError('Too many questions wait for their answers; try again later');
      lastId += 1;
      const id = `${instanceId}.${lastId}`;
      const response = await waitFor(id, question, route);
      if (response.error !== undefined)
        throw new ToolError(`The client could not answer: ${response.error.message}`);
      const checked = await checkAnswer(question, response.result);
      if (!checked.isValid) throw new ToolError(checked.problem);
      return checked.answer;
    },
    accept: async ({ id, principalKey }, response) => {
      const owner = ownerOf(response);
      const party = { id, principalKey };
      if (owner === instanceId) take(party, response);
      else if (owner !== undefined) await passOn(owner, JSON.stringify({ party, response }));
    },
    close: async () => {
      await unsubscribe();
    },
  };

  async function passOn(owner: string, message: string): Promise<void> {
    try {
      await bus.publish(`instance.${owner}`, message);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw new RequestError('body_too_large', 'The answer is longer than this server passes on', {
        cause: error,
      });
    }
  }

  function waitFor(id: string, question: ClientQuestion, route: QuestionRoute): Promise<JsonRpcResponse> {
    const timeoutMs = question.timeoutMs ?? options.timeoutMs;
    return new Promise((resolve, reject) => {
      const finish = (): void => {
        waiting.delete(id);
        clearTimeout(timer);
        route.signal.removeEventListener('abort', onAbort);
      };
      const onAbort = (): void => {
        finish();
        reject(
          new ProtocolError(protocolErrorCodes.internalError, 'The call ended before the client answered'),
        );
      };
      const timer = setTimeout(() => {
        finish();
        reject(new ToolError(`The client did not answer within ${timeoutMs} ms`));
      }, timeoutMs);
      if (route.signal.aborted) {
        onAbort();
        return;
      }
      route.signal.addEventListener('abort', onAbort);
      const settle = (response: JsonRpcResponse): void => {
        finish();
        resolve(response);
      };
      waiting.set(id, { party: route.party, settle });
      route.send(renderMessage({ jsonrpc: '2.0', id, method: question.method, params: question.params }));
    });
  }
}

/** The instance that waits for a response, read from its id; `undefined` for an id that no instance made. */
function ownerOf({ id, result, error }: JsonRpcResponse): string | undefined {
  if (typeof id !== 'string' || !(isRecord(result) || isRecord(error))) return undefined;
  const [, owner] = /^([A-Za-z0-9_-]{1,64})\.\d{1,15}$/.exec(id) ?? [];
  return owner;
}
