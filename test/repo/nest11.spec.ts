import { describe, expect, it } from '@jest/globals';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { dirname, normalize } from 'node:path/posix';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const root = fileURLToPath(new URL('../..', import.meta.url));
/** Those that run on both versions of Nest. */
const ON_BOTH = /^test\/e2e\/(attacks|nest|sample)\//;

/** Packages that a file imports, and those that what it imports does. */
function packagesBehind(spec: string): Set<string> {
  const packages = new Set<string>();
  const files = new Set([spec]);
  for (const file of files) {
    for (const { fileName } of ts.preProcessFile(readFileSync(join(root, file), 'utf8'), true, true)
      .importedFiles) {
      if (!fileName.startsWith('.')) packages.add(fileName);
      const next = normalize(join(dirname(file), fileName)).replace(/\.js$/, '.ts');
      if (fileName.startsWith('.') && existsSync(join(root, next))) files.add(next);
    }
  }
  return packages;
}

const reachesNest = (spec: string) =>
  [...packagesBehind(spec)].some((name) =>
    /^(@nestjs\/|nestjs-realtime($|\/(admin|health|platform-ws)))/.test(name),
  );

describe('the e2e specs', () => {
  const specs = readdirSync(join(root, 'test/e2e'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.spec.ts'))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)).split(sep).join('/'));

  it('run on Nest 11 too where they reach Nest', () => {
    expect(readFileSync(join(root, 'jest.config.mjs'), 'utf8')).toContain(
      `project('nest11', 'e2e/{attacks,nest,sample}', {`,
    );
    const onNest = specs.filter(reachesNest);
    expect(onNest.length).toBeGreaterThan(20);
    expect(onNest.filter((spec) => !ON_BOTH.test(spec))).toEqual([]);
  });
});
