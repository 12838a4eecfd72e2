/** Points cases at the target: sends each, judges the answer, and makes sure that a right call still works. */
import fc from 'fast-check';
import { expect } from 'vitest';
import { createFetchDoor, createHttpDoor, type Door, type Received, type Sent } from './exchange.ts';
import { findFault } from './judgement.ts';
import {
  legacyVersions,
  modernMessages,
  type SoundMessage,
  toInitialize,
  toModernHeaders,
} from './sound-messages.ts';
import { startTarget, type TargetHost } from './target-host.ts';

/** Where cases go in. */
export type DoorName = 'fetch' | 'http';

/** The target under fire. */
export interface Aim {
  readonly target: TargetHost;
  readonly doors: Readonly<Record<DoorName, Door>>;
  /** Headers with which a right message is taken. */
  readonly headers: Readonly<Record<string, string>>;
  /** A session of each legacy version, opened anew when its last one has ended. */
  session(version: string): Promise<string>;
  /** @throws Error when the answer is not what every answer must be. @returns it, unless the door could not send it */
  fire(sent: Sent, door?: DoorName): Promise<Received | undefined>;
  /** @throws AssertionError when a right client is not served in both eras */
  expectServing(): Promise<void>;
  close(): Promise<void>;
}

const roundsBetweenChecks = 200;

/** Starts a target and opens the doors. */
export async function takeAim(): Promise<Aim> {
  const target = await startTarget();
  const http = createHttpDoor(target);
  const doors = { fetch: createFetchDoor(target), http };
  const headers = {
    Authorization: `Bearer ${target.key}`,
    'Content-Type': 'application/json',
    Accept: 'application/json, text/event-stream',
  };
  const sessions = new Map<string, string>();
  let fired = 0;

  const open = async (version: string): Promise<string> => {
    const reply = await doors.fetch(toPost(JSON.stringify(toInitialize(version)), headers));
    expect(reply?.status, 'initialize').toBe(200);
    return reply?.headers['mcp-session-id'] ?? '';
  };
  const session = async (version: string): Promise<string> => {
    const known = sessions.get(version);
    if (known !== undefined) return known;
    const opened = await open(version);
    sessions.set(version, opened);
    return opened;
  };
  const expectServing = async (): Promise<void> => {
    const echo = modernMessages.find(({ params }) => params?.['name'] === 'echo') as SoundMessage;
    const modern = await doors.http(toPost(JSON.stringify(echo), { ...headers, ...toModernHeaders(echo) }));
    expect(modern?.body, 'a modern call').toContain('hellohello');
    const id = await open('2025-11-25');
    const legacyEcho = { ...echo, params: { ...echo.params, _meta: {} } };
    const legacy = await doors.fetch(
      toPost(JSON.stringify(legacyEcho), { ...headers, 'Mcp-Session-Id': id }),
    );
    expect(legacy?.body, 'a legacy call').toContain('hellohello');
    await doors.fetch({
      method: 'DELETE',
      path: '/mcp',
      headers: toList({ ...headers, 'Mcp-Session-Id': id }),
      body: undefined,
    });
  };

  return {
    target,
    doors,
    headers,
    session,
    fire: async (sent, door = 'fetch') => {
      const received = await doors[door](sent);
      if (received === undefined) return undefined;
      // Sessions are few in this suite and the longest idle one gives way, so those that are fired at come and go.
      if (received.status === 404) sessions.clear();
      const [fault = findFault(sent, received, [target.key])] = target.takeFaults();
      if (fault !== undefined) throw new Error(`${fault}\n${describe(sent)}\n-> ${describe(received)}`);
      fired += 1;
      if (fired % roundsBetweenChecks === 0) await expectServing();
      return received;
    },
    expectServing,
    close: async () => {
      await expectServing();
      http.close();
      await target.close();
    },
  };
}

/**
 * Runs a property. What fails prints its seed and path; to run it again: `MALFORMED_SEED=... MALFORMED_PATH=...`.
 * `MALFORMED_SCALE=10` runs ten times as many cases.
 */
export function check<Case>(
  cases: fc.Arbitrary<Case>,
  runs: number,
  property: (one: Case) => Promise<unknown>,
): Promise<void> {
  const { MALFORMED_SEED: seed, MALFORMED_PATH: path, MALFORMED_SCALE: scale } = process.env;
  const run = fc.asyncProperty(cases, async (one) => {
    await property(one);
  });
  return fc.assert(run, {
    numRuns: Math.ceil(runs * Number(scale ?? 1)),
    ...(seed === undefined ? {} : { seed: Number(seed) }),
    ...(path === undefined ? {} : { path }),
  });
}

/** A POST to the endpoint. */
export function toPost(body: string | Uint8Array, headers: Readonly<Record<string, string>>): Sent {
  return { method: 'POST', path: '/mcp', headers: toList(headers), body };
}

/** Headers of a session. */
export async function toSessionHeaders(aim: Aim, version: string): Promise<Record<string, string>> {
  return { ...aim.headers, 'Mcp-Session-Id': await aim.session(version), 'Mcp-Protocol-Version': version };
}

/** Any version that has sessions. */
export const legacyVersion: fc.Arbitrary<(typeof legacyVersions)[number]> = fc.constantFrom(
  ...legacyVersions,
);

function toList(headers: Readonly<Record<string, string>>): readonly (readonly [string, string])[] {
  return Object.entries(headers);
}

function describe(exchange: Sent | Received): string {
  const { body } = exchange;
  const text = typeof body === 'object' ? `${Buffer.from(body).toString('latin1')} (bytes)` : body;
  return JSON.stringify({ ...exchange, body: text?.slice(0, 3000) });
}
