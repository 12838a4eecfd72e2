/** What tests ask of the workbench fixture, and clients whose connections they can cut. */
import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { isEventStream, type Target, type WireEvent, type WireMessage } from './wire.ts';

/** Arguments of a call that reports `before` steps and then waits until its gate opens. */
export function toCount(
  folder: string,
  to: number,
  before: number,
): { args: Record<string, unknown>; open: () => void } {
  const gate = join(folder, randomUUID());
  const args = {
    name: 'count',
    arguments: { to, before, gate },
    _meta: { progressToken: 'p' },
  };
  return { args, open: () => writeFileSync(gate, '') };
}

/** Progress, in order, and `result` for the answer. */
export function toSteps(events: readonly WireEvent[]): unknown[] {
  return events
    .filter(({ data }) => data !== '')
    .map(({ data }) => JSON.parse(data) as WireMessage)
    .map(({ params, result }) => (result === undefined ? params?.['progress'] : 'result'));
}

/** Connects the SDK's client; each stream that it opens adds a way to cut it. */
export async function connect(
  target: Target,
  mode: 'auto' | 'legacy',
  cuts: AbortController[] = [],
): Promise<Client> {
  const client = new Client({ name: 'resumer', version: '1' }, { versionNegotiation: { mode } });
  const transport = new StreamableHTTPClientTransport(new URL(target.url), {
    requestInit: { headers: { Authorization: `Bearer ${target.key}` } },
    reconnectionOptions: {
      initialReconnectionDelay: 20,
      maxReconnectionDelay: 100,
      reconnectionDelayGrowFactor: 1,
      maxRetries: 20,
    },
    fetch: async (url, init) => {
      const cut = new AbortController();
      const signals = [cut.signal, ...(init?.signal ? [init.signal] : [])];
      const reply = await fetch(url, { ...init, signal: AbortSignal.any(signals) });
      if (isEventStream(reply)) cuts.push(cut);
      return reply;
    },
  });
  await client.connect(transport);
  return client;
}
