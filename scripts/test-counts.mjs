// Prints `N passed, N failed` from jest JSON results; exits with 1 if anything failed or nothing passed.
import { readFileSync } from 'node:fs';

const results = process.argv.slice(2).map((file) => JSON.parse(readFileSync(file, 'utf8')));
const sum = (count) => results.reduce((total, result) => total + count(result), 0);
const passed = sum(({ numPassedTests }) => numPassedTests);
// A spec that could not even be loaded has no tests to count, and is a failure all the same.
const failed = sum(
  ({ numFailedTests, numRuntimeErrorTestSuites }) => numFailedTests + numRuntimeErrorTestSuites,
);
const succeeded = results.length > 0 && results.every(({ success }) => success);
process.exitCode = succeeded && failed === 0 && passed > 0 ? 0 : 1;
console.log(`${passed} passed, ${failed} failed`);
