import type { Config } from './config.ts';

/** What people call the provider that they sign in at; `undefined` where they sign in here, or not at all. */
export function toUpstreamName({ upstream }: Pick<Config, 'upstream'>): string | undefined {
  const { upstreamIssuer: issuer, upstreamName: name } = upstream;
  if (issuer === undefined) return undefined;
  return name === '' ? new URL(issuer).host : name;
}
