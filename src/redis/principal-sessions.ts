import { createTurns } from '../lib/turns.ts';
import type { SessionRecord } from '../sessions/session-store.ts';
import type { RedisConnection } from './redis-connection.ts';
import { addPrincipalSession } from './scripts/add-principal-session.ts';
import { evictPrincipalSessions } from './scripts/evict-principal-sessions.ts';
import { readSessionUse } from './scripts/read-session-use.ts';
import { toPrincipalKeys, toSessionKeys } from './session-keys.ts';

/** How many more than the excess are looked at first; twice as many each time when all of them were used since. */
const firstLook = 1;
const maxLooks = 10;
/** Looked at in one go; what is more, as when the cap was lowered, is left to sessions opened later. */
const maxLookedAt = 256;

/** Past so many sessions of one principal, going through them all would hold up Redis for longer than 10 ms. */
const maxGoneThrough = 10_000;

/** A session that was counted but is not there yet is being written, for so long. */
const maxWriteMs = 10_000;

/** Bounds the life of the count, where sessions have no absolute end. */
const maxCountLifeMs = 400 * 24 * 60 * 60 * 1000;

/** What the count needs of its store. */
export interface PrincipalSessionsOptions {
  readonly redis: RedisConnection;
  readonly maxPerPrincipal: number;
  /** The first arguments of scripts that judge whether a session lives: the time or '', and the idle time. */
  readonly clockArgs: () => readonly [now: string, idleTtlMs: string];
}

/**
 * Counts the sessions of each principal. The count is in another slot of a cluster than the sessions, so the two are
 * changed one after the other, and the count is the one that may lag: what it holds too much is found out when the cap is
 * reached. Should an instance die between the two, a session stays outside of the count until it expires.
 */
export class PrincipalSessions {
  readonly #options: PrincipalSessionsOptions;
  readonly #turns = createTurns();
  readonly #evicting = new Set<string>();

  constructor(options: PrincipalSessionsOptions) {
    this.#options = options;
  }

  /** Counts a session that is being written. @returns members to look at when that is done; none within the cap */
  async add(record: SessionRecord): Promise<readonly string[]> {
    const { redis, maxPerPrincipal, clockArgs } = this.#options;
    const keys = toPrincipalKeys(redis.prefix, record.principalKey);
    // The script returns a list of members.
    return (await redis.runScript(
      addPrincipalSession,
      [keys.sessions, keys.firstEnd],
      [
        clockArgs()[0],
        toMember(record),
        String(record.expiresAt),
        String(maxPerPrincipal),
        String(firstLook),
        String(maxLookedAt),
        String(maxCountLifeMs),
        String(maxGoneThrough),
      ],
    )) as readonly string[];
  }

  /** Takes a session out of the count that did not come to be. */
  async remove(record: SessionRecord): Promise<void> {
    const { redis } = this.#options;
    await redis.client.zRem(toPrincipalKeys(redis.prefix, record.principalKey).sessions, toMember(record));
  }

  /**
   * Takes the longest-idle sessions beyond the cap out of the count. Of sessions that this instance opens at once, the
   * first looks for all of them.
   *
   * @param crowd what `add` returned
   * @returns their ids, to be ended
   */
  async evict(record: SessionRecord, crowd: readonly string[]): Promise<readonly string[]> {
    const { principalKey } = record;
    const isFirst = !this.#evicting.has(principalKey);
    this.#evicting.add(principalKey);
    try {
      return await this.#turns(principalKey, () => this.#evict(record, isFirst ? crowd : []));
    } finally {
      if (isFirst) this.#evicting.delete(principalKey);
    }
  }

  /** @param crowd members to look at; without any the script says whom */
  async #evict(record: SessionRecord, crowd: readonly string[]): Promise<readonly string[]> {
    const evicted: string[] = [];
    let members = crowd;
    for (let look = 0; look < maxLooks && (look === 0 || members.length > 0); look += 1) {
      const uses = await Promise.all(members.map((member) => this.#readUse(member)));
      const pairs = members.flatMap((member, index) => [member, uses[index] ?? 'absent']);
      const { redis, maxPerPrincipal, clockArgs } = this.#options;
      const reply = await redis.runScript(
        evictPrincipalSessions,
        [toPrincipalKeys(redis.prefix, record.principalKey).sessions],
        [
          clockArgs()[0],
          String(maxPerPrincipal),
          String(firstLook * 2 ** (look + 1)),
          String(maxLookedAt),
          String(maxWriteMs),
          toMember(record),
          ...pairs,
        ],
      );
      // The script returns two lists of members.
      const [out, next] = reply as readonly [readonly string[], readonly string[]];
      evicted.push(...out.map(toSessionId));
      members = next;
    }
    return evicted;
  }

  async #readUse(member: string): Promise<string> {
    const { redis, clockArgs } = this.#options;
    const keys = toSessionKeys(redis.prefix, toSessionId(member));
    // The script returns text.
    return (await redis.runScript(readSessionUse, [keys.session, keys.ended], clockArgs())) as string;
  }
}

function toMember(record: SessionRecord): string {
  return `${record.expiresAt}:${record.id}`;
}

function toSessionId(member: string): string {
  return member.slice(member.indexOf(':') + 1);
}
