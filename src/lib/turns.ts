/** Runs work that shares a key one after the other, in the order of asking. */
export type Turns = <Value>(key: string, work: () => Promise<Value>) => Promise<Value>;

/** Turns of one process. It holds no more keys than there is work under way. */
export function createTurns(): Turns {
  const last = new Map<string, Promise<unknown>>();
  return (key, work) => {
    const result = (last.get(key) ?? Promise.resolve()).then(work);
    const settled = result.then(forget, forget);
    last.set(key, settled);
    return result;

    function forget(): void {
      if (last.get(key) === settled) last.delete(key);
    }
  };
}
