/**
 * Fails on what breaks the house (CONTRIBUTING.md tells the rules in words), one line for each breach. Prints the
 * largest files and functions without failing: past the usual size is a question, not an error.
 */
import { checkReference } from './docs/reference-pages.ts';
import { documentPaths, forbiddenWords } from './tidy/documents.ts';
import { undocumentedEvents } from './tidy/events.ts';
import { undocumentedExports, wholesaleExports } from './tidy/exports.ts';
import { importCycles } from './tidy/import-cycles.ts';
import { importDirection } from './tidy/import-direction.ts';
import { loadRepository, type Rule } from './tidy/repository.ts';
import { secondDoors } from './tidy/second-doors.ts';
import { wholeLock } from './tidy/whole-lock.ts';
import { listFileSizes, listFunctionSizes, type Size } from './tidy/sizes.ts';

const usualFileLines = 240;
const usualFunctionLines = 70;
const shownAtMost = 10;

const rules: readonly Rule[] = [
  importDirection,
  importCycles,
  secondDoors,
  undocumentedExports,
  wholesaleExports,
  undocumentedEvents,
  documentPaths,
  forbiddenWords,
  wholeLock,
];

const repository = loadRepository(process.cwd());
let breaches = 0;
for (const { name, findings } of [
  ...rules.map((rule) => ({ name: rule.name, findings: rule.check(repository) })),
  { name: 'reference pages', findings: checkReference(process.cwd()) },
]) {
  if (findings.length === 0) continue;
  breaches += findings.length;
  console.log(`\n${name}`);
  for (const { at, problem } of findings) console.log(`  ${at}: ${problem}`);
}
printLargest('Largest files', usualFileLines, listFileSizes(repository));
printLargest('Largest functions', usualFunctionLines, listFunctionSizes(repository));
console.log(breaches === 0 ? '\nTidy.' : `\n${breaches} to tidy.`);
process.exitCode = breaches === 0 ? 0 : 1;

function printLargest(title: string, usualLines: number, sizes: readonly Size[]): void {
  const large = sizes.filter(({ lines }) => lines > usualLines).slice(0, shownAtMost);
  const [largest] = sizes;
  if (large.length === 0)
    console.log(
      `\n${title}: none past ${usualLines} lines of code (most: ${largest?.lines ?? 0}, ${largest?.name ?? ''})`,
    );
  else console.log(`\n${title}, past ${usualLines} lines of code`);
  for (const { name, lines } of large) console.log(`  ${lines}  ${name}`);
}
