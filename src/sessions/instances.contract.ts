import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Instances } from './instances.ts';

/** One door per instance that sees the same others, and its id. None is announced yet. */
export type MakeInstances = () => Promise<readonly [InstanceDoor, ...InstanceDoor[]]>;

/** An instance as the suite drives it. */
export interface InstanceDoor {
  readonly id: string;
  readonly instances: Instances;
}

/** Longer than any maker needs to be sure that an instance is gone. */
const timeout = 8000;

/** What every `Instances` does. */
export function describeInstances(name: string, make: MakeInstances): void {
  describe(`${name} as Instances`, () => {
    const opened: InstanceDoor[] = [];

    async function open(): Promise<readonly [InstanceDoor, ...InstanceDoor[]]> {
      const doors = await make();
      opened.push(...doors);
      return doors;
    }

    afterEach(async () => {
      for (const { instances } of opened.splice(0)) await instances.close();
    });

    it('shows an announced instance to every other, and counts it once however often it is announced', async () => {
      const doors = await open();
      for (const { instances } of doors) {
        await instances.announce();
        await instances.announce();
      }
      for (const { instances } of doors) {
        for (const { id } of doors) expect(await instances.isAlive(id)).toBe(true);
        expect(await instances.count()).toBe(doors.length);
      }
    });

    it('comes to know that an instance never was', { timeout }, async () => {
      const [{ instances }] = await open();
      await instances.announce();
      await vi.waitFor(async () => expect(await instances.isAlive('never-was')).toBe(false), { timeout });
    });

    it(
      'takes an instance out when it closes, which it can twice, and keeps the others',
      { timeout },
      async () => {
        const doors = await open();
        for (const { instances } of doors) await instances.announce();
        const [first, ...others] = doors;
        await first.instances.close();
        await first.instances.close();
        expect(await first.instances.isAlive(first.id)).toBe(false);
        for (const { id, instances } of others) {
          expect(await instances.count()).toBe(others.length);
          await vi.waitFor(async () => expect(await instances.isAlive(first.id)).toBe(false), { timeout });
          expect(await instances.isAlive(id)).toBe(true);
        }
      },
    );
  });
}
