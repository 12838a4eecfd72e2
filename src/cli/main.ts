#!/usr/bin/env node
/**
 * The `mooring` command. Imports nothing before it has checked that this Node.js can run the rest.
 */
const needed = [20, 19] as const;
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);

if (major < needed[0] || (major === needed[0] && minor < needed[1])) {
  process.stderr.write(
    `mooring: Node.js ${needed.join('.')} or later is needed, this is ${process.versions.node}.\n`,
  );
  process.exitCode = 1;
} else {
  const { run } = await import('./run.ts');
  await run();
}
