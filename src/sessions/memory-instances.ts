import type { Instances } from './instances.ts';

/** For a server that is one process: it alone lives. */
export function createMemoryInstances(instanceId: string): Instances {
  let isAnnounced = false;
  return {
    announce: async () => {
      isAnnounced = true;
    },
    isAlive: async (asked) => isAnnounced && asked === instanceId,
    count: async () => (isAnnounced ? 1 : 0),
    close: async () => {
      isAnnounced = false;
    },
  };
}
