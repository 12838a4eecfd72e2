import { InvalidArgumentError } from 'commander';

const unitSeconds: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/**
 * Seconds of a text such as `90d`, `24h`, `30m`, `15s` or `0`.
 *
 * @throws InvalidArgumentError that the command line tells as wrong usage
 */
export function parseDurationSeconds(text: string): number {
  if (text === '0') return 0;
  const [, amount, unit = ''] = /^(\d{1,5})([smhd])$/.exec(text) ?? [];
  const seconds = unitSeconds[unit];
  if (amount === undefined || seconds === undefined) {
    throw new InvalidArgumentError('Give a number and a unit: 90d, 24h, 30m, 15s, or 0.');
  }
  return Number(amount) * seconds;
}
