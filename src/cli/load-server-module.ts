import { existsSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import type { McpServerFactory } from '@modelcontextprotocol/server';
import { importModule, ModuleUnsupported } from '../config/import-module.ts';
import { isServerDefinition, type ServerDefinition } from '../mcp/server-definition.ts';
import { isSdkServer } from '../sdk/is-sdk-server.ts';
import { CommandFailure } from './command-failure.ts';

/** What a module gave, ready to be hosted. */
export type HostedModule =
  | { readonly kind: 'definition'; readonly name: string; readonly server: ServerDefinition }
  | { readonly kind: 'sdk'; readonly name: string; readonly server: McpServerFactory };

/** What a module's function is called with. */
export interface ModuleOptions {
  /** An absolute path: the folder for what the server keeps on this machine. It may not exist yet. */
  readonly dataDir: string;
}

const expected =
  'expected a server made with defineServer, or a function that returns one or an McpServer of the official SDK, exported as `default` or `server`';

/**
 * Loads the server of a module: a file, or a folder whose `package.json` names its `main`.
 *
 * The module exports, as its default or as `server`, a definition made with `defineServer`, or a function. The
 * function is called once with `ModuleOptions`; when what it returns is a server of the official SDK, the function is
 * that server's factory and what this call returned is closed. Any other export is used when it is a definition and
 * the only one.
 *
 * @param path relative paths start from `workingDir`
 * @throws CommandFailure that says what was found and what is expected
 */
export async function loadServerModule(
  path: string,
  options: ModuleOptions & { readonly workingDir: string },
): Promise<HostedModule> {
  const file = resolveEntry(resolve(options.workingDir, path), path);
  const name = toModuleName(file);
  const exports = await importServer(file, path);
  const exported = exports['default'] ?? exports['server'] ?? findOnlyDefinition(exports);
  if (isServerDefinition(exported)) return toHosted(exported);
  if (typeof exported !== 'function') {
    const names = Object.keys(exports);
    const found =
      names.length === 0
        ? 'nothing'
        : names.map((key) => `\`${key}\` (${describe(exports[key])})`).join(', ');
    throw new CommandFailure(`${path} exports ${found}: ${expected}.`);
  }
  const product = await callModule(exported as ModuleFunction, path, options.dataDir);
  if (isServerDefinition(product)) return toHosted(product);
  if (isSdkServer(product)) {
    await (product as { close(): Promise<void> }).close();
    // The shape of the product says that the function is a factory of the official SDK.
    return { kind: 'sdk', name, server: exported as unknown as McpServerFactory };
  }
  throw new CommandFailure(`The function that ${path} exports returned ${describe(product)}: ${expected}.`);
}

// A factory of the official SDK is called with the era of its client; one that reads it finds it.
type ModuleFunction = (options: ModuleOptions & { readonly era: 'legacy' }) => unknown;

function toHosted(server: ServerDefinition): HostedModule {
  return { kind: 'definition', name: server.input.name, server };
}

function resolveEntry(absolute: string, shown: string): string {
  if (!existsSync(absolute)) throw new CommandFailure(`There is no file or folder ${shown}.`);
  if (statSync(absolute).isFile()) return absolute;
  const manifest = join(absolute, 'package.json');
  if (!existsSync(manifest)) {
    throw new CommandFailure(
      `The folder ${shown} has no package.json that names its main file: name the file itself.`,
    );
  }
  const main = readMain(manifest, shown);
  const entry = join(absolute, main);
  if (!existsSync(entry)) {
    throw new CommandFailure(
      `${shown} names ${main} as its main file, which does not exist: build it first.`,
    );
  }
  return entry;
}

function readMain(manifest: string, shown: string): string {
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFileSync(manifest, 'utf8'));
  } catch {
    throw new CommandFailure(`The package.json of ${shown} is not JSON.`);
  }
  const main = typeof parsed === 'object' && parsed !== null && 'main' in parsed ? parsed.main : undefined;
  if (typeof main === 'string' && main !== '') return main;
  throw new CommandFailure(`The package.json of ${shown} does not say its "main" file.`);
}

function toModuleName(file: string): string {
  const stem = basename(file).replace(/\.[^.]+$/, '');
  if (stem !== 'index') return stem;
  const folder = dirname(file);
  return basename(basename(folder) === 'dist' || basename(folder) === 'src' ? dirname(folder) : folder);
}

async function importServer(file: string, shown: string): Promise<Readonly<Record<string, unknown>>> {
  try {
    return await importModule(file);
  } catch (error) {
    if (error instanceof ModuleUnsupported) throw new CommandFailure(error.message);
    throw new CommandFailure(`${shown} cannot be loaded: ${toMessage(error)}`, { cause: error });
  }
}

async function callModule(create: ModuleFunction, shown: string, dataDir: string): Promise<unknown> {
  try {
    return await create({ dataDir, era: 'legacy' });
  } catch (error) {
    throw new CommandFailure(`The function that ${shown} exports failed: ${toMessage(error)}`, {
      cause: error,
    });
  }
}

function findOnlyDefinition(exports: Readonly<Record<string, unknown>>): unknown {
  const definitions = Object.values(exports).filter(isServerDefinition);
  return definitions.length === 1 ? definitions[0] : undefined;
}

function describe(value: unknown): string {
  if (isSdkServer(value)) return 'a server of the official SDK, not a function that makes one';
  if (value === null || value === undefined) return String(value);
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

function toMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
