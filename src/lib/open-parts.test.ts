import { expect, it } from 'vitest';
import { createOpenPart } from './open-parts.ts';

it('closes what was opened, the latest first, when a part fails; one that does not close stops nothing', async () => {
  const closed: string[] = [];
  const open = createOpenPart();
  const close = async (part: string): Promise<void> => {
    closed.push(part);
    if (part === 'second') throw new Error('stuck');
  };
  expect(await open(Promise.resolve('first'), close)).toBe('first');
  await open(Promise.resolve('second'), close);
  await expect(open(Promise.reject(new Error('the third fails')), close)).rejects.toThrow('the third fails');
  expect(closed).toEqual(['second', 'first']);
});
