/** The fixture in one process. */
import { describeConformance } from './describe-conformance.ts';
import { startEverything } from './everything-process.ts';

await describeConformance('one process', (fixture) => startEverything(fixture));
