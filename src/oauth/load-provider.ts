import type * as Provider from 'oidc-provider';

/**
 * The authorization server's engine, loaded when it is first needed: it is a good part of a start.
 *
 * It is written for Node 22, of which it needs one thing more than Node 20 has; that is added before it is loaded, and
 * can go when Node 20 does, together with the silence about it.
 */
export async function loadProvider(): Promise<typeof Provider> {
  const url: typeof URL & { parse?: (text: string, base?: string) => URL | null } = URL;
  url.parse ??= (text, base) => {
    try {
      return new URL(text, base);
    } catch {
      return null;
    }
  };
  return withoutNotice(() => import('oidc-provider'));
}

/** On Node 20 it says on stderr that it is not made for that, in a line of its own between those of the log. */
async function withoutNotice<Value>(load: () => Promise<Value>): Promise<Value> {
  const output: Pick<Console, 'warn'> = console;
  const { warn } = output;
  output.warn = (...given: unknown[]): void => {
    if (!String(given[0]).includes('oidc-provider WARNING: Unsupported runtime')) warn(...given);
  };
  try {
    return await load();
  } finally {
    output.warn = warn;
  }
}
