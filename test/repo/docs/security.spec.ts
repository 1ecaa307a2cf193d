import { describe, expect, it } from '@jest/globals';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { namesOf, readClauses } from '../../../scripts/docs/promises.mjs';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const read = (file: string): string => readFileSync(`${root}${file}`, 'utf8');
const document = read('docs/security.md');

/** Rows of the tables whose last column names tests. */
const rows = document
  .split('\n')
  .filter((line) => line.startsWith('|') && !/^\| (?:point|actor|---)|^\| -/.test(line))
  .map((line) => line.split('|').slice(1, -1))
  .filter((cells) => cells.length === 4)
  .map(([point = '', , clause = '', tests = '']) => ({ point: point.trim(), clause, tests }));

describe('docs/security.md', () => {
  it('names for each point of its lists tests that exist', () => {
    expect(rows.length).toBeGreaterThanOrEqual(30);
    for (const { point, tests } of rows) {
      const files = [...tests.matchAll(/`(test\/[^`]+\.spec\.ts)`/g)].map(([, file]) => file as string);
      expect({ point, named: files.length > 0 }).toEqual({ point, named: true });
      for (const file of files)
        expect({ file, exists: existsSync(`${root}${file}`) }).toEqual({ file, exists: true });
    }
  });

  it('names clauses and promises that exist, and at least one for each point', () => {
    const documents = ['docs/protocol.md', 'docs/guarantees.md'].map((file) => readClauses(read(file)));
    const known = new Set(documents.flatMap(({ clauses, subs }) => [...clauses.keys(), ...subs]));
    const unknown = namesOf(document).filter((name) => !known.has(name));
    expect(unknown).toEqual([]);
    for (const { point, clause } of rows)
      expect({ point, named: namesOf(clause).length > 0 }).toEqual({ point, named: true });
  });

  it('names options that exist', () => {
    const options = read('docs/options.md');
    const named = rows.flatMap(({ clause }) =>
      [...clause.matchAll(/`([a-z][\w.]*)`/gi)].map(([, name]) => name),
    );
    expect(named.length).toBeGreaterThan(10);
    expect(named.filter((name) => !options.includes(`\`${name}\``))).toEqual([]);
  });
});
