import { describe, expect, it } from 'vitest';
import { createTurns } from './turns.ts';

describe('turns', () => {
  it('run what shares a key in order, one at a time, whatever fails', async () => {
    const turns = createTurns();
    const seen: string[] = [];
    let open = (): void => {};
    const opened = new Promise<void>((resolve) => {
      open = resolve;
    });
    const first = turns('a', async () => {
      await opened;
      seen.push('first');
      throw new Error('broken');
    });
    const second = turns('a', async () => {
      seen.push('second');
      return 2;
    });
    await turns('b', async () => {
      seen.push('other key');
    });
    open();
    await expect(first).rejects.toThrow('broken');
    expect(await second).toBe(2);
    expect(seen).toEqual(['other key', 'first', 'second']);
  });
});
