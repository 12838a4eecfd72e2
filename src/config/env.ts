/** Environment variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** The environment of this process. Nothing else in `src/` reads it, and nothing reads it after the start. */
export function readEnvironment(): Environment {
  return process.env;
}

/** Whether this Node.js imports `.ts` files by itself: 22.18 and later, and 24. */
export function canImportTypeScript(): boolean {
  return Boolean((process.features as { readonly typescript?: unknown }).typescript);
}

/** The version of this Node.js, without the `v`. */
export function readNodeVersion(): string {
  return process.versions.node;
}

/** Where relative paths start from. */
export function readWorkingDir(): string {
  return process.cwd();
}
