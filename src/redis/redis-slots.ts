/** Slots of a Redis Cluster. */
export const slotCount = 16_384;

/** The slot that a key lives in: only what is between its first braces counts, if anything is. */
export function toSlot(key: string): number {
  const open = key.indexOf('{');
  const close = open === -1 ? -1 : key.indexOf('}', open + 1);
  const counted = close > open + 1 ? key.slice(open + 1, close) : key;
  return checksum(Buffer.from(counted)) % slotCount;
}

/** CRC-16 with polynomial 0x1021 and no reflection, which the specification of Redis Cluster calls XMODEM. */
function checksum(bytes: Buffer): number {
  let sum = 0;
  for (const byte of bytes) {
    sum ^= byte << 8;
    for (let bit = 0; bit < 8; bit += 1) sum = (sum & 0x8000) === 0 ? sum << 1 : (sum << 1) ^ 0x1021;
    sum &= 0xffff;
  }
  return sum;
}
