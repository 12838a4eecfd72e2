/** The fixture in three processes on one Redis, through a balancer that gives each request to the next of them. */
import { describeConformance } from './describe-conformance.ts';
import { startEverythingFleet } from './everything-fleet.ts';

await describeConformance('three processes, round robin', startEverythingFleet);
