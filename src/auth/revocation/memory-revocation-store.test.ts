import { MemoryRevocationStore } from './memory-revocation-store.ts';
import { describeRevocationStore } from './revocation-store.contract.ts';

describeRevocationStore('memory', async () => {
  const revocations = new MemoryRevocationStore();
  return { revocations, otherRevocations: revocations, close: async () => undefined };
});
