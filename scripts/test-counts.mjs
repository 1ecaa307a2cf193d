// Prints `N passed, N failed` from a jest JSON result; exits with 1 if anything failed or nothing passed.
import { readFileSync } from 'node:fs';

const result = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const passed = result.numPassedTests;
// A spec that could not even be loaded has no tests to count, and is a failure all the same.
const failed = result.numFailedTests + result.numRuntimeErrorTestSuites;
process.exitCode = result.success && failed === 0 && passed > 0 ? 0 : 1;
console.log(`${passed} passed, ${failed} failed`);
