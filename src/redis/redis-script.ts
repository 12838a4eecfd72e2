import { createHash } from 'node:crypto';

/** A Lua script: runs whole or not at all as far as other commands see, and is sent by its hash once Redis knows it. */
export interface RedisScript {
  /** For logs and error texts. */
  readonly name: string;
  /** States its keys, arguments, result and the race that it closes. */
  readonly source: string;
  /** SHA-1 of the source, as Redis names scripts. */
  readonly sha: string;
  /** Whether running it twice in a row does what once does. Then it is sent again when the connection broke. */
  readonly isRepeatable: boolean;
}

/**
 * @param source touches only keys that it is given, so that a cluster can run it
 * @param options.isRepeatable default no
 */
export function defineScript(
  name: string,
  source: string,
  options: { readonly isRepeatable?: boolean } = {},
): RedisScript {
  const sha = createHash('sha1').update(source).digest('hex');
  return { name, source, sha, isRepeatable: options.isRepeatable ?? false };
}
