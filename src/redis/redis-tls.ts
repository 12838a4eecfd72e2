/** What TLS is spoken with, read anew for each connection: certificates are renewed while a process lives. */
import { readFile } from 'node:fs/promises';
import type { RedisTlsFiles } from '../config/redis-url.ts';
import { ConfigError } from '../errors.ts';

/** What of `tls.connect` the operator chose. PEM. */
export interface RedisTls {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

/** @returns `undefined` without TLS @throws ConfigError that names the file that cannot be read */
export async function loadRedisTls(files: RedisTlsFiles | undefined): Promise<RedisTls | undefined> {
  if (files === undefined) return undefined;
  const { authorities, certificate, key } = files;
  return {
    ...(authorities === undefined ? {} : { ca: await read('tls_ca_file', authorities) }),
    ...(certificate === undefined ? {} : { cert: await read('tls_cert_file', certificate) }),
    ...(key === undefined ? {} : { key: await read('tls_key_file', key) }),
  };
}

async function read(name: string, file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    throw new ConfigError([
      { setting: 'REDIS_URL', problem: `the ${name} ${file} cannot be read (${code})` },
    ]);
  }
}
