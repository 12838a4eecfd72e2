/**
 * Adds to package-lock.json the platform packages that a partial registry mirror made npm leave out. Without them
 * `npm ci` refuses the lock everywhere. Their version is exact in the package that names them, and their platform is
 * in their name; only their hash stays unknown until npm has met them. Run it after changing dependencies behind such
 * a mirror; with everything in place it changes nothing.
 */
import { readFileSync, writeFileSync } from 'node:fs';

const systems = [
  'aix',
  'android',
  'darwin',
  'freebsd',
  'linux',
  'netbsd',
  'openbsd',
  'openharmony',
  'sunos',
  'win32',
];
const processors = ['arm', 'arm64', 'ia32', 'loong64', 'mips64el', 'ppc64', 'riscv64', 's390x', 'x64'];

const path = new URL('../package-lock.json', import.meta.url);
const lock = JSON.parse(readFileSync(path, 'utf8'));
const added = [];

for (const [location, entry] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    if (isLocked(location, name)) continue;
    const words = name.split(/[-/]/);
    const os = words.find((word) => systems.includes(word));
    const cpu = words.find((word) => processors.includes(word));
    if (os === undefined || cpu === undefined || !/^\d/.test(version)) {
      throw new Error(`${name}@${version}, optional for ${location}: its platform is not in its name`);
    }
    lock.packages[`node_modules/${name}`] = {
      version,
      cpu: [cpu],
      ...(entry.dev ? { dev: true } : {}),
      ...(os === 'linux' ? toLibc(words) : {}),
      optional: true,
      os: [os],
    };
    added.push(name);
  }
}

if (added.length > 0) {
  const byLocation = ([one], [other]) => one.localeCompare(other, 'en');
  lock.packages = Object.fromEntries(Object.entries(lock.packages).toSorted(byLocation));
  writeFileSync(path, `${JSON.stringify(lock, undefined, 2)}\n`);
}
process.stdout.write(`${added.length} added\n`);

function isLocked(location, name) {
  return [`${location}/node_modules/${name}`, `node_modules/${name}`].some((place) => place in lock.packages);
}

function toLibc(words) {
  if (words.some((word) => word.startsWith('musl'))) return { libc: ['musl'] };
  return words.some((word) => word.startsWith('gnu')) ? { libc: ['glibc'] } : {};
}
