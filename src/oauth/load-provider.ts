import type * as Provider from 'oidc-provider';

/**
 * The authorization server's engine, loaded when it is first needed: it is a good part of a start.
 *
 * It is written for Node 22, of which it needs one thing more than Node 20 has; that is added before it is loaded, and
 * can go when Node 20 does.
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
  return import('oidc-provider');
}
