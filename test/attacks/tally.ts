import type { Reporter, TestModule } from 'vitest/node';

/** Says at the end how many attacks were refused: each test of the project is one, or a row of them. */
export class AttackTally implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const refused = tests.filter((test) => test.result().state === 'passed').length;
    const through = tests.filter((test) => test.result().state === 'failed');
    process.stdout.write(`\nAttacks refused: ${refused} of ${tests.length}\n`);
    for (const test of through) process.stdout.write(`  got through, or did not run: ${test.fullName}\n`);
  }
}

// A reporter is loaded by its module's default export.
export { AttackTally as default };
