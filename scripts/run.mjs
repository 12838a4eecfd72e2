/**
 * What `npm start`, `npm test`, `npm run everything` and `npm run bench` do: make sure that everything is installed
 * and built, then run it. Plain JavaScript without dependencies, because it runs before there are any.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const neededNode = [20, 19];
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const [command = '', ...args] = process.argv.slice(2);

const commands = {
  start: () => importScript('dist/cli/main.js', ['start', ...args]),
  test: runSuites,
  everything: () => importScript('dist-tools/test/conformance/everything/serve.js', args),
  bench: () => importScript('dist-tools/bench/run.js', args),
};

/** In this order: what is quick to find out comes first. */
const suites = [
  { name: 'format', command: ['oxfmt', '--check', '.'] },
  { name: 'lint', command: ['oxlint', '--type-aware', '--deny-warnings'] },
  { name: 'tidy', command: ['node', 'dist-tools/scripts/tidy.js'] },
  { name: 'unused', command: ['node', 'node_modules/knip/bin/knip.js'] },
  { name: 'unit', project: 'unit' },
  { name: 'integration', project: 'integration' },
  { name: 'attacks', project: 'attacks' },
  { name: 'e2e', project: 'e2e' },
  { name: 'faults', project: 'faults' },
  { name: 'conformance', project: 'conformance' },
];

await main();

async function main() {
  if (!isNodeSupported())
    return fail(`Node.js ${neededNode.join('.')} or later is needed, this is ${process.versions.node}.`);
  if (!Object.hasOwn(commands, command))
    return fail(`expected one of ${Object.keys(commands).join(', ')}, found "${command}".`);
  process.chdir(root);
  if (
    isInstallNeeded() &&
    !(await prepare('Installing dependencies', ['npm', 'ci', '--include=dev', '--no-audit', '--no-fund']))
  )
    return;
  // The package first: the compiler remembers that the package's types were missing when it began.
  if (!(await prepare('Building the package', [bin('tsc'), '-b', 'src']))) return;
  // To serve, neither tests nor tools are needed.
  const rest = command === 'start' ? 'servers/notes' : '.';
  if (!(await prepare('Building what runs on it', [bin('tsc'), '-b', rest]))) return;
  await commands[command]();
}

function isNodeSupported() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  return major > neededNode[0] || (major === neededNode[0] && minor >= neededNode[1]);
}

/** npm writes its own record of an install last: one that is missing or older than the lock means there is work. */
function isInstallNeeded() {
  const installed = join(root, 'node_modules', '.package-lock.json');
  return (
    !existsSync(installed) || statSync(installed).mtimeMs < statSync(join(root, 'package-lock.json')).mtimeMs
  );
}

/** Runs a step whose output only matters when it fails. Progress goes to stderr: stdout may belong to a protocol. */
async function prepare(title, line) {
  const startedAt = performance.now();
  process.stderr.write(`${title} ...`);
  const { code, output } = await execute(line, { isQuiet: true });
  process.stderr.write(code === 0 ? ` ${seconds(startedAt)}\n` : ` failed\n\n${output}\n`);
  if (code !== 0) fail(`${title.toLowerCase()} failed: \`${toShown(line)}\` ended with ${code}.`);
  return code === 0;
}

async function runSuites() {
  const reports = mkdtempSync(join(tmpdir(), 'mooring-test-'));
  const selected = args.length === 0 ? suites : suites.filter(({ name }) => args.includes(name));
  if (selected.length === 0)
    return fail(`no such suite: ${args.join(' ')}. There are ${suites.map(({ name }) => name).join(', ')}.`);
  const totals = { passed: 0, failed: 0, skipped: 0 };
  const broken = [];
  try {
    for (const suite of selected) {
      const startedAt = performance.now();
      process.stdout.write(`\n== ${suite.name}\n\n`);
      const counts = await runSuite(suite, join(reports, `${suite.name}.json`));
      for (const key of Object.keys(totals)) totals[key] += counts[key];
      if (counts.failed > 0) broken.push(suite.name);
      process.stdout.write(`\n== ${suite.name}: ${toSummary(counts)} in ${seconds(startedAt)}\n`);
    }
  } finally {
    rmSync(reports, { recursive: true, force: true });
  }
  const where = broken.length === 0 ? '' : ` (in ${broken.join(', ')})`;
  process.stdout.write(`\n${toSummary(totals)}${where}\n`);
  process.exitCode = broken.length === 0 ? 0 : 1;
}

/** A check without tests of its own counts as one. A suite that ends badly counts as a failure whatever it reports. */
async function runSuite({ command: line, project }, reportPath) {
  if (line !== undefined) {
    const { code } = await execute([line[0] === 'node' ? process.execPath : bin(line[0]), ...line.slice(1)]);
    return { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, skipped: 0 };
  }
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${reportPath}`];
  const { code } = await execute([bin('vitest'), 'run', '--project', project, ...reporters]);
  const counts = readReport(reportPath);
  return code === 0 || counts.failed > 0 ? counts : { ...counts, failed: 1 };
}

function readReport(path) {
  if (!existsSync(path)) return { passed: 0, failed: 0, skipped: 0 };
  const report = JSON.parse(readFileSync(path, 'utf8'));
  const brokenFiles = report.testResults.filter(
    (file) => file.status === 'failed' && file.assertionResults.length === 0,
  );
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + brokenFiles.length,
    skipped: report.numPendingTests + report.numTodoTests,
  };
}

function toSummary({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped === 0 ? '' : `, ${skipped} skipped`}`;
}

/** Runs a program to its end. @returns its exit code, and what it printed when it was quiet */
function execute([program, ...rest], { isQuiet = false } = {}) {
  const isScript = isAbsolute(program) && program !== process.execPath;
  const child = spawn(isScript ? process.execPath : program, isScript ? [program, ...rest] : rest, {
    cwd: root,
    stdio: isQuiet ? ['ignore', 'pipe', 'pipe'] : ['ignore', 'inherit', 'inherit'],
    // npm is a script of the shell on Windows.
    shell: process.platform === 'win32' && program === 'npm',
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (output += chunk));
  return new Promise((resolve) => {
    child.on('error', (error) => resolve({ code: 1, output: `${error.message}\n` }));
    child.on('close', (code, signal) => resolve({ code: code ?? signal ?? 1, output }));
  });
}

/** The script behind an installed command, so that it runs the same under every shell and system. */
function bin(name) {
  const packageName = name === 'tsc' ? 'typescript' : name;
  const manifestPath = createRequire(join(root, 'package.json')).resolve(`${packageName}/package.json`);
  const { bin: entries } = JSON.parse(readFileSync(manifestPath, 'utf8'));
  return join(dirname(manifestPath), typeof entries === 'string' ? entries : entries[name]);
}

/** Runs a built script in this process, as if it had been started with these arguments. */
async function importScript(path, scriptArgs) {
  const file = join(root, path);
  process.argv = [process.argv[0], file, ...scriptArgs];
  await import(pathToFileURL(file).href);
}

function seconds(startedAt) {
  return `${((performance.now() - startedAt) / 1000).toFixed(1)} s`;
}

function toShown(line) {
  return line.map((part) => (part.startsWith(root) ? part.slice(root.length + 1) : part)).join(' ');
}

function fail(sentence) {
  process.stderr.write(`mooring: ${sentence}\n`);
  process.exitCode = 1;
}
