/** What no HTTP library would send: request lines, framing and headers as raw bytes. */
import { connect } from 'node:net';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Aim, check, takeAim } from './aim.ts';
import { within } from './exchange.ts';
import { findFault } from './judgement.ts';
import { credentialMark, hostMark, noRequest, rawRequest, soundRequest } from './raw-requests.ts';

const timeoutMs = 240_000;
/** Sent at once. */
const together = 12;
/** A connection that is silent for so long is told that nothing more comes, or the target's own limits would be waited for. */
const silentMs = 80;
let aim: Aim;

beforeAll(async () => {
  aim = await takeAim();
  await aim.expectServing();
  aim.target.markHeap();
});

afterAll(async () => {
  await aim.close();
});

/** Sends bytes and gathers what comes until the host closes, or until it has answered and waits for more. */
async function exchange(text: string, isPatient = false): Promise<string> {
  const { hostname, port, host: authority } = new URL(aim.target.origin);
  const bytes = Buffer.from(
    text.replaceAll(hostMark, authority).replaceAll(credentialMark, aim.target.key),
    'latin1',
  );
  const socket = connect({ host: hostname, port: Number(port) });
  let received = '';
  const closed = new Promise<void>((resolve) => {
    // A host that has refused may reset what is still being sent.
    socket
      .on('error', () => {})
      .on('close', () => {
        resolve();
      });
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      received += chunk;
      // Whatever else was sent after the first answer may keep the connection open: it is let go.
      if (isWhole(received)) socket.destroySoon();
    });
  });
  socket.write(bytes);
  const silence = isPatient ? undefined : setTimeout(() => socket.end(), silentMs);
  await within(closed, text);
  clearTimeout(silence);
  return received;
}

function isWhole(received: string): boolean {
  const end = received.indexOf('\r\n\r\n');
  if (end === -1 || received.startsWith('HTTP/1.1 100')) return false;
  const declared = /\r\ncontent-length: (\d+)/i.exec(received.slice(0, end))?.[1];
  return received.length >= end + 4 + Number(declared ?? 0);
}

async function fireBytes(text: string): Promise<void> {
  const received = (await exchange(text)).replace(/^HTTP\/1\.1 100 Continue\r\n\r\n/, '');
  // Nothing: the host closed without a word, as it does where a reply could be taken for another request's.
  if (received === '') return;
  const [, status] = /^HTTP\/1\.1 (\d{3}) /.exec(received) ?? [];
  expect(status, `not HTTP: ${received.slice(0, 200)}`).toBeDefined();
  const end = received.indexOf('\r\n\r\n');
  const sent = { method: 'POST', path: '/', headers: [], body: undefined };
  const reply = {
    status: Number(status),
    headers: { head: received.slice(0, end) },
    body: received.slice(end + 4),
  };
  expect(
    findFault(sent, reply, [aim.target.key]),
    `${text.slice(0, 2000)}\n-> ${received.slice(0, 1000)}`,
  ).toBeUndefined();
}

describe('raw requests', () => {
  test('with wrong lines, headers and framing', { timeout: timeoutMs }, async () => {
    await check(fc.array(rawRequest, { minLength: 1, maxLength: together }), 400, async (texts) => {
      await Promise.all(texts.map(fireBytes));
      expect(aim.target.takeFaults()).toEqual([]);
    });
    await aim.expectServing();
  });

  test('that are no requests at all', { timeout: timeoutMs }, async () => {
    await check(fc.array(noRequest, { minLength: 1, maxLength: together }), 60, async (texts) => {
      await Promise.all(texts.map(fireBytes));
      expect(aim.target.takeFaults()).toEqual([]);
    });
    await aim.expectServing();
  });

  test('that stop in the middle are told so and cut', async () => {
    const cuts = Array.from({ length: 24 }, (_, at) => Math.floor((at * soundRequest.length) / 24));
    const received = await Promise.all(cuts.map((at) => exchange(soundRequest.slice(0, at), true)));
    for (const [index, text] of received.entries()) {
      // Where nothing was sent, there is no request to answer.
      if (index > 0) expect(text).toMatch(/^HTTP\/1\.1 408 /);
    }
    expect(aim.target.takeFaults()).toEqual([]);
  });

  test('that leave in the middle hold nothing', { timeout: timeoutMs }, async () => {
    await check(
      fc.array(fc.nat({ max: soundRequest.length }), { minLength: together, maxLength: together }),
      30,
      async (cuts) => {
        await Promise.all(cuts.map((at) => leaveAfter(soundRequest.slice(0, at))));
        expect(aim.target.takeFaults()).toEqual([]);
      },
    );
    await aim.expectServing();
  });
});

function leaveAfter(text: string): Promise<void> {
  const { hostname, port, host: authority } = new URL(aim.target.origin);
  const bytes = Buffer.from(text.replaceAll(hostMark, authority).replaceAll(credentialMark, aim.target.key));
  return new Promise((resolve) => {
    const socket = connect({ host: hostname, port: Number(port) }, () => {
      socket.write(bytes, () => socket.resetAndDestroy());
    });
    socket
      .on('error', () => {})
      .on('close', () => {
        resolve();
      });
  });
}
