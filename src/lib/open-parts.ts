/** Opens one part; `close` is for the case that a later one cannot be opened. */
export type OpenPart = <Part>(part: Promise<Part>, close: (part: Part) => Promise<void>) => Promise<Part>;

/**
 * Opens parts that build on each other. When one fails, those before it are closed, the latest first, and the failure
 * is thrown on; what fails to close is left at that.
 */
export function createOpenPart(): OpenPart {
  const closers: (() => Promise<void>)[] = [];
  return async (part, close) => {
    try {
      const opened = await part;
      closers.unshift(() => close(opened));
      return opened;
    } catch (error) {
      for (const closeOpened of closers) await closeOpened().catch(() => undefined);
      throw error;
    }
  };
}
