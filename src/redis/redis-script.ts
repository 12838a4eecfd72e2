import { createHash } from 'node:crypto';

/** A Lua script: runs whole or not at all as far as other commands see, and is sent by its hash once Redis knows it. */
export interface RedisScript {
  /** For logs and error texts. */
  readonly name: string;
  /** States its keys, arguments, result and the race that it closes. */
  readonly source: string;
  /** SHA-1 of the source, as Redis names scripts. */
  readonly sha: string;
}

/** @param source touches only keys that it is given, so that a cluster can run it */
export function defineScript(name: string, source: string): RedisScript {
  return { name, source, sha: createHash('sha1').update(source).digest('hex') };
}
