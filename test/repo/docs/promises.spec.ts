import { describe, expect, it } from '@jest/globals';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import {
  idsOf,
  namesOf,
  readClauses,
  readTests,
  renderPromises,
  renderProofs,
  RESERVED,
  testTitles,
  type ClauseDocument,
} from '../../../scripts/docs/promises.mjs';
import { sameMarkdown } from '../../support/markdown.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const read = (file: string): string => readFileSync(`${root}${file}`, 'utf8');
const protocol = readClauses(read('docs/protocol.md'));
const guarantees = readClauses(read('docs/guarantees.md'));
const documents: ClauseDocument[] = [
  { document: 'protocol.md', heading: 'Clauses of the protocol', clauses: protocol.clauses },
  { document: 'guarantees.md', heading: 'Guarantees', clauses: guarantees.clauses },
];

describe('docs/promises.md', () => {
  const tests = readTests(root);

  it('is what the documents and the titles of the tests say; `npm run docs` writes it', () => {
    expect(sameMarkdown(read('docs/promises.md'), renderPromises(documents, tests))).toBe(true);
  });

  it('has a test for every clause and guarantee, except those that this version does not keep yet', () => {
    const proven = new Set(tests.flatMap(({ ids }) => ids));
    const all = documents.flatMap(({ clauses }) => [...clauses.keys()]);
    expect(all.filter((id) => !proven.has(id))).toEqual(RESERVED);
  });

  it('is stale when a promise loses its last test, and not when a title changes', () => {
    const rendered = renderPromises(documents, tests);
    const renamed = tests.map((test) => ({ ...test, title: 'Another title' }));
    expect(renderPromises(documents, renamed)).toBe(rendered);
    const without = tests.filter(({ ids }) => !ids.includes('P15'));
    expect(sameMarkdown(read('docs/promises.md'), renderPromises(documents, without))).toBe(false);
  });

  it('names no clause that the documents do not define', () => {
    const known = new Set([
      ...protocol.clauses.keys(),
      ...guarantees.clauses.keys(),
      ...protocol.subs,
      ...guarantees.subs,
    ]);
    const unknown = tests.flatMap(({ file, title, names }) =>
      names.filter((name) => !known.has(name)).map((name) => `${name}: ${file}: ${title}`),
    );
    expect(unknown).toEqual([]);
  });

  it('covers documents that define every id once', () => {
    const numbered = (letter: string, last: number): string[] =>
      Array.from({ length: last }, (_, index) => `${letter}${index + 1}`);
    expect([...protocol.clauses.keys()].sort()).toEqual(numbered('P', 34).sort());
    expect([...guarantees.clauses.keys()].sort()).toEqual(numbered('G', 34).sort());
    for (const { document } of documents) {
      const headings = [...read(`docs/${document}`).matchAll(/^#+ ([PG]\d+) /gm)].map(([, id]) => id);
      const subs = [...read(`docs/${document}`).matchAll(/^\s*- \*\*([PG]\d+[a-z])\*\*/gm)].map(
        ([, id]) => id,
      );
      expect(new Set(headings).size).toBe(headings.length);
      expect(new Set(subs).size).toBe(subs.length);
    }
  });

  it('counts the tests of a contract suite that the package ships', () => {
    const shipped = tests.filter(({ file }) => file.startsWith('lib/'));
    expect(new Set(shipped.map(({ file }) => file))).toContain('lib/brokers/contract/append.ts');
    expect(shipped.length).toBeGreaterThan(100);
  });
});

describe('the full list of proofs', () => {
  const tests = readTests(root);
  const full = renderProofs(documents, tests);

  it('names every test under each id that it proves, and leads to files that exist', () => {
    for (const { document, clauses } of documents) {
      for (const id of clauses.keys()) {
        const count = tests.filter(({ ids }) => ids.includes(id)).length;
        expect(full).toContain(`](../docs/${document}#${clauses.get(id)?.anchor}), tests: ${count}\n`);
      }
    }
    // It lies in test-artifacts/, beside docs/.
    const files = [...full.matchAll(/\]\(\.\.\/([^)#]+)\)/g)].map(([, file]) => String(file));
    expect(new Set(files)).toEqual(new Set(tests.map(({ file }) => file)));
    expect(files.filter((file) => !existsSync(`${root}${file}`))).toEqual([]);
  });
});

describe('reading test titles', () => {
  it('finds ids, lists, ranges and sub-clauses', () => {
    expect(idsOf('keeps order (P16), P1, P2a … and G4–G6')).toEqual(
      ['P16', 'P1', 'P2', 'G4', 'G5', 'G6'].sort(bySource),
    );
    expect(namesOf('P15a, P15b')).toEqual(['P15a', 'P15b']);
    expect(idsOf('P2-P4 and P7..P9')).toEqual(expect.arrayContaining(['P2', 'P3', 'P4', 'P7', 'P8', 'P9']));
    expect(idsOf('HTTP2, MP3 and UP4 are no clauses')).toEqual([]);
  });

  it('finds tests in every form, with the titles of their groups', () => {
    const source = `
      describe('resume (P13)', () => {
        it('one', () => {});
        it.each([1, 2])('two %i', () => {});
        it.each\`a\${1}\`('three', () => {});
        test(\`four \${1} P7\`, () => {});
        it.skip('not this P1', () => {});
        it.todo('nor this P2');
        it.failing('nor this P3', () => {});
        // it('a comment P4', () => {});
      });
      describe.skip('off', () => { it('nor this P5', () => {}); });
      export function contract() { it('five' + ' P6', () => {}); }
    `;
    expect(testTitles(source).map(({ path }) => path)).toEqual([
      'resume (P13) one',
      'resume (P13) two %i',
      'resume (P13) three',
      'resume (P13) four … P7',
      'five P6',
    ]);
  });
});

/** Ranges come first, then single ids as they stand; the order itself does not matter. */
function bySource(a: string, b: string): number {
  const order = ['G4', 'G5', 'G6', 'P16', 'P1', 'P2'];
  return order.indexOf(a) - order.indexOf(b);
}
