import { describe, expect, it } from '@jest/globals';
import { existsSync, readFileSync } from 'node:fs';
import { SNAPSHOT_POINTER } from '../../../lib/doctor/checks/channels.js';
import { BOOT_POINTERS } from '../../../lib/doctor/checks/start.js';
import { CHECKS } from '../../../lib/doctor/checks/index.js';
import { renderDoctor } from '../../../scripts/docs/doctor.mjs';
import { anchorsOf } from '../../../scripts/docs/markdown.mjs';
import { sameMarkdown } from '../../support/markdown.js';

const docs = new URL('../../../docs/', import.meta.url);
const read = (file: string): string => readFileSync(new URL(file, docs), 'utf8');
const document = read('doctor.md');

describe('docs/doctor.md', () => {
  it('has the checks as they are; `npm run docs` writes them', () => {
    expect(sameMarkdown(document, renderDoctor(document, CHECKS))).toBe(true);
  });

  it('is stale as soon as a check says something else', () => {
    const [first, ...others] = CHECKS;
    const changed = [{ ...first, asks: 'Is this another question?' }, ...others] as typeof CHECKS;
    expect(sameMarkdown(document, renderDoctor(document, changed))).toBe(false);
  });

  it('needs a place for the checks', () => {
    expect(() => renderDoctor('# Nothing', CHECKS)).toThrow('no place for the checks');
  });
});

describe('the checks of the doctor', () => {
  it('have ids of their own', () => {
    const ids = CHECKS.map(({ id }) => id);
    expect(ids.filter((id, index) => ids.indexOf(id) !== index)).toEqual([]);
  });

  it('ask a question each, and have one good answer at least, and a remedy for each other one', () => {
    for (const { id, asks, outcomes } of CHECKS) {
      const all = Object.values(outcomes);
      expect({ id, asks: asks.endsWith('?'), good: all.some(({ level }) => level === 'ok') }).toEqual({
        id,
        asks: true,
        good: true,
      });
      for (const { level, finding, remedy } of all)
        expect({ finding, has: remedy !== undefined }).toEqual({ finding, has: level !== 'ok' });
    }
  });

  it('lead to sections of documents that exist', () => {
    const others = [SNAPSHOT_POINTER, ...BOOT_POINTERS.map(([, see]) => see)].map((see) => ({
      id: see,
      see,
    }));
    for (const { id, see } of [...CHECKS, ...others]) {
      const [file = '', anchor] = see.split('#');
      expect({ id, there: existsSync(new URL(file, docs)) }).toEqual({ id, there: true });
      expect({ id, see, there: anchor !== undefined && anchorsOf(read(file)).has(anchor) }).toEqual({
        id,
        see,
        there: true,
      });
    }
  });
});
