/** The official conformance suite for authorization servers, both revisions; a real browser is the person. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type MooringProcess, startMooring } from '../e2e/mooring-process.ts';
import { createPerson, type Person } from '../e2e/person.ts';
import { findFreePort } from '../redis-server.ts';
import { prepareConformanceSuite, type RequirementSet } from './conformance-suite.ts';
import { listProblems } from './conformance-verdict.ts';

const sets: readonly RequirementSet[] = ['2025-11-25', '2026-07-28'];
const scenarios = ['authorization-server-metadata-endpoint', 'authorization-code-grant'];
const runTimeoutMs = 250_000;

let host: MooringProcess;
let person: Person;

beforeAll(async () => {
  host = await startMooring({ environment: { AUTH: 'oauth' } });
  person = await createPerson(host);
});
afterAll(async () => {
  await person?.close();
  await host?.dispose();
});

describe.each(sets)('an authorization server of %s', (set) => {
  test(
    'passes every check',
    async () => {
      const suite = await prepareConformanceSuite();
      const port = await findFreePort();
      const registered = await fetch(`${host.origin}/oauth/register`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ client_name: 'suite', redirect_uris: [`http://127.0.0.1:${port}/callback`] }),
      });
      const { client_id: clientId } = (await registered.json()) as { readonly client_id: string };
      const visits: Promise<unknown>[] = [];
      const results = await suite.runAuthorization(set, {
        issuer: host.origin,
        clientId,
        resource: host.url,
        port,
        // Settled below, whatever becomes of it.
        onPage: (page) => visits.push(person.allow(new URL(page)).catch((error: unknown) => error)),
      });
      expect(await Promise.all(visits)).toEqual([undefined]);
      expect(scenarios.flatMap((scenario) => listProblems(scenario, results))).toEqual([]);
    },
    runTimeoutMs,
  );
});
