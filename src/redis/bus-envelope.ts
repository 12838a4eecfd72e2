/** How a message of the bus looks in Redis: named, so that it can be known again, and sealed where it may hold user data. */
import type { SealedBox } from '../mcp/sealed-box.ts';

/** A message as it arrived. */
export interface BusMessage {
  /** Unique. */
  readonly id: string;
  readonly message: string;
}

/** Turns messages of one topic into what Redis holds, and back. */
export interface BusEnvelope {
  /** @param id without a comma */
  wrap(topic: string, message: BusMessage): string;
  /** `undefined` for what was not made by `wrap` for this topic with a key that we have. */
  unwrap(topic: string, text: string): BusMessage | undefined;
}

/**
 * How long a sealed message opens: long enough for clocks of instances that differ by minutes. What rests in Redis is
 * gone before, by its own time to live.
 */
const sealTtlSeconds = 600;
/** UTF-16 units in one sealed part: at most three times as many bytes, which a sealed string just holds. */
const maxPartLength = 16_000;
/** Parts of a message of 1 MiB in the script that needs most bytes, and some more. */
const maxParts = 100;

/** Topics whose messages may hold what users wrote are sealed; the others name lists and ids. */
export function createBusEnvelope(box: SealedBox): BusEnvelope {
  return {
    wrap: (topic, { id, message }) => {
      if (!isSealed(topic)) return `${id},${message}`;
      const parts = split(message);
      const sealed = parts.map((part, index) =>
        box.seal(part, { ...bind(topic, id, index, parts.length), ttlSeconds: sealTtlSeconds }),
      );
      return `${id},${sealed.join(',')}`;
    },
    unwrap: (topic, text) => {
      const end = text.indexOf(',');
      if (end <= 0) return undefined;
      const id = text.slice(0, end);
      if (!isSealed(topic)) return { id, message: text.slice(end + 1) };
      const sealed = text.slice(end + 1).split(',', maxParts + 1);
      if (sealed.length > maxParts) return undefined;
      const parts = sealed.map((part, index) => box.open(part, bind(topic, id, index, sealed.length)));
      return parts.includes(undefined) ? undefined : { id, message: parts.join('') };
    },
  };
}

function isSealed(topic: string): boolean {
  return topic.startsWith('instance.') || topic.startsWith('session.');
}

/** Ties each part to its topic, message and place, so that none can be moved, left out or mixed. */
function bind(topic: string, id: string, index: number, count: number): { purpose: string; boundTo: string } {
  return { purpose: 'message-bus', boundTo: JSON.stringify([topic, id, index, count]) };
}

function split(message: string): readonly string[] {
  if (message.length <= maxPartLength) return [message];
  const parts: string[] = [];
  for (let start = 0; start < message.length;) {
    let end = Math.min(start + maxPartLength, message.length);
    // A character of two units stays whole: half of one is not text.
    if (end < message.length && isLowSurrogate(message.charCodeAt(end))) end -= 1;
    parts.push(message.slice(start, end));
    start = end;
  }
  return parts;
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff;
}
