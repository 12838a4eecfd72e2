import { describeLockTable } from './lock-table.contract.ts';
import { createMemoryLockTable } from './memory-lock-table.ts';

describeLockTable('a lock table in memory', async (now) => [
  createMemoryLockTable(now === undefined ? {} : { now }),
]);
