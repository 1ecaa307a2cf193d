import { describe, expect, it } from '@jest/globals';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('../../../docs/decisions/', import.meta.url));
const read = (name: string): string => readFileSync(`${folder}${name}`, 'utf8');
const records = readdirSync(folder).filter((name) => name !== 'README.md');

describe('docs/decisions', () => {
  it('numbers its records one by one, and its index has each under its title', () => {
    const rows = [...read('README.md').matchAll(/^\| +(\d+) \| \[(.+)\]\((.+)\) +\|$/gm)];
    expect(rows.map(([, , , file]) => file)).toEqual(records);
    rows.forEach(([, number, title, file], index) => {
      expect(Number(number)).toBe(index + 1);
      expect(file).toMatch(new RegExp(`^${String(number).padStart(4, '0')}-[a-z-]+\\.md$`));
      expect(read(String(file))).toMatch(`# ${number}. ${title}\n`);
    });
  });

  it.each(records)('%s is a page at most, and says why, what, what follows and where', (name) => {
    const text = read(name);
    const headings = [...text.matchAll(/^## (.+)$/gm)].map(([, heading]) => heading);
    expect(headings).toEqual(['Context', 'Decision', 'Consequences', 'Where in the code']);
    expect(text.split('\n').length).toBeLessThanOrEqual(50);
    expect(text.length).toBeLessThan(3_000);
  });
});
