import { expect, test } from 'vitest';
import { describeLimits } from './limits.contract.ts';
import { createMemoryLimits } from './memory-limits.ts';

describeLimits('memory limits', async (now) => [createMemoryLimits({ now })]);

test('past its bound it forgets who was longest not asked for, and keeps who is tried again and again', async () => {
  const limits = createMemoryLimits({ maxSubjects: 3, now: () => 0 });
  const limit = { capacity: 1, windowMs: 1000 };
  await limits.take(['target'], limit);
  for (let other = 0; other < 10; other += 1) {
    await limits.take([`other-${other}`], limit);
    expect(await limits.take(['target'], limit)).toMatchObject({ isAllowed: false });
  }
  expect(await limits.take(['other-0'], limit)).toMatchObject({ isAllowed: true });
});
