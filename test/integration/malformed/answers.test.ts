/** Answers to questions: malformed, tampered with, or to questions of another call. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Aim, check, legacyVersion, takeAim, toPost, toSessionHeaders } from './aim.ts';
import { within } from './exchange.ts';
import { findFault } from './judgement.ts';
import { modernMessages, type SoundMessage, toAnsweredCall, toModernHeaders } from './sound-messages.ts';
import { mutated, tampered } from './wire-text.ts';

const timeoutMs = 240_000;
/** Asked and answered at once; each may take as long as a question waits. */
const together = 10;
let aim: Aim;

beforeAll(async () => {
  aim = await takeAim();
  await aim.expectServing();
  aim.target.markHeap();
});

afterAll(async () => {
  await aim.close();
});

/** Questions by tool, with a right answer to each. */
const questions = {
  ask: { action: 'accept', content: { name: 'Ada', size: 3 } },
  ask_model: {
    role: 'assistant',
    content: { type: 'text', text: 'So.' },
    model: 'one',
    stopReason: 'endTurn',
  },
  ask_roots: { roots: [{ uri: 'file:///notes', name: 'notes' }] },
} as const;

type QuestionTool = keyof typeof questions;

const questionTool = fc.constantFrom<QuestionTool>('ask', 'ask_model', 'ask_roots');

async function readState(): Promise<string> {
  const call = modernMessages.find(({ params }) => params?.['name'] === 'ask') as SoundMessage;
  const reply = await aim.fire(toPost(JSON.stringify(call), { ...aim.headers, ...toModernHeaders(call) }));
  const { result } = JSON.parse(reply?.body ?? '') as { result: { requestState: string } };
  return result.requestState;
}

describe('answers of the modern era', () => {
  test('wrong anywhere, are answered as JSON-RPC', { timeout: timeoutMs }, async () => {
    const call = toAnsweredCall(await readState());
    const headers = { ...aim.headers, ...toModernHeaders(call) };
    const right = await aim.fire(toPost(JSON.stringify(call), headers));
    expect(right?.body).toContain('Ada 1');
    await check(mutated(call, 8), 3000, (text) => aim.fire(toPost(text, headers)));
  });

  test('with an altered state are refused', { timeout: timeoutMs }, async () => {
    const state = await readState();
    const headers = { ...aim.headers, ...toModernHeaders(toAnsweredCall(state)) };
    await check(tampered(state), 1500, async (text) => {
      const altered = JSON.parse(text) as string;
      fc.pre(altered !== state);
      const received = await aim.fire(toPost(JSON.stringify(toAnsweredCall(altered)), headers));
      expect(received?.body).toContain('requestState is altered');
    });
  });
});

describe('answers of a session', () => {
  test('wrong anywhere, end the call that asked and nothing else', { timeout: timeoutMs }, async () => {
    const one = questionTool.chain((tool) =>
      fc.record({
        tool: fc.constant(tool),
        version: legacyVersion,
        answer: fc.oneof(
          mutated({ jsonrpc: '2.0', id: placeholder, result: questions[tool] }, 6),
          mutated({ jsonrpc: '2.0', id: placeholder, error: { code: 1, message: 'no' } }, 6),
          mutated({ jsonrpc: '2.0', id: placeholder, result: questions[tool], error: null }, 6),
        ),
      }),
    );
    await check(fc.array(one, { minLength: 1, maxLength: together }), 60, async (cases) => {
      await Promise.all(cases.map(askAndAnswer));
      expect(aim.target.takeFaults()).toEqual([]);
    });
  });
});

/** Stands in an answer for the question's id, which is known once it was asked. */
const placeholder = 'the-id-of-the-question';

interface AnswerCase {
  readonly tool: QuestionTool;
  readonly version: string;
  readonly answer: string;
}

async function askAndAnswer({ tool, version, answer }: AnswerCase): Promise<void> {
  const headers = await toSessionHeaders(aim, version);
  const body = JSON.stringify({
    jsonrpc: '2.0',
    id: `${tool}-${Math.random()}`,
    method: 'tools/call',
    params: { name: tool },
  });
  const request = new Request('http://127.0.0.1/mcp', { method: 'POST', headers, body });
  const response = await within(aim.target.host.fetch(request), body);
  const reader = (response.body as ReadableStream<Uint8Array>)
    .pipeThrough(new TextDecoderStream())
    .getReader();
  let text = '';
  let isAnswered = false;
  for (;;) {
    const { done, value } = await within(reader.read(), answer);
    if (done) break;
    text += value;
    const id = /"id":"([\w-]+\.\d+)"/.exec(text)?.[1];
    if (isAnswered || id === undefined) continue;
    isAnswered = true;
    await aim.fire(toPost(answer.replace(placeholder, id), headers));
  }
  const fault = findFault(toPost(body, headers), {
    status: response.status,
    headers: Object.fromEntries(response.headers),
    body: text,
  });
  expect(fault, answer).toBeUndefined();
  expect(text, 'the call has its answer').toContain('"content"');
}
