// What the declarations of an entry point bring into a project: packages that it may not have, or whose declarations its compiler cannot read.
import { readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';
import { packagesOf, reachable } from './reachable.mjs';

/** Every application has these. */
const ALWAYS = ['@msgpack/msgpack', '@nestjs/common', '@nestjs/core', 'node', 'reflect-metadata', 'rxjs'];
/** Those that an entry's own options are made of. */
const OF_ENTRY = new Map([
  ['./broker/contract', ['@jest/globals', 'vitest']],
  ['./health', ['@nestjs/terminus']],
  ['./metrics', ['prom-client']],
  ['./platform-ws', ['@nestjs/platform-ws']],
  ['./redis', ['ioredis']],
  ['./tracing', ['@opentelemetry/api']],
]);

/**
 * @param {string} folder a package, laid out
 * @returns {string[]} a sentence for each package that the declarations of an entry import without need
 */
export function declarationProblems(folder) {
  const { exports } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  return Object.entries(exports).flatMap(([entry, { types }]) => {
    if (types === undefined) return [];
    const allowed = [...ALWAYS, ...(OF_ENTRY.get(entry) ?? [])];
    return reachable(folder, [types]).flatMap((file) =>
      packagesOf(readFileSync(join(folder, file), 'utf8'))
        .filter((name) => !isBuiltin(name) && !allowed.includes(name))
        .map(
          (name) => `${file} imports ${name}, and ${entry} leads to it: declare what is public elsewhere.`,
        ),
    );
  });
}
