import { extname } from 'node:path';
import { pathToFileURL } from 'node:url';
import { canImportTypeScript, readNodeVersion } from './env.ts';

const typeScriptExtensions: ReadonlySet<string> = new Set(['.ts', '.mts', '.cts']);

/** A module that this Node.js cannot load as it is; the message says what to do. */
export class ModuleUnsupported extends Error {
  override readonly name = 'ModuleUnsupported';
}

/**
 * Imports a module by its absolute path.
 *
 * @throws ModuleUnsupported for TypeScript where Node.js cannot strip types; otherwise what the module throws
 */
export async function importModule(path: string): Promise<Readonly<Record<string, unknown>>> {
  if (typeScriptExtensions.has(extname(path)) && !canImportTypeScript()) {
    throw new ModuleUnsupported(
      `${path} is TypeScript, which Node.js ${readNodeVersion()} cannot run: use Node.js 22.18 or later, or compile it to JavaScript.`,
    );
  }
  return (await import(pathToFileURL(path).href)) as Readonly<Record<string, unknown>>;
}
