/**
 * In CI, property tests repeat the same cases, so that a change is judged by what it changed; everywhere else every
 * run tries new ones. What fails there prints its seed, and becomes a test of its own.
 */
import fc from 'fast-check';

const ciSeed = 20_261_121;

if (process.env['CI'] !== undefined) fc.configureGlobal({ seed: ciSeed });
