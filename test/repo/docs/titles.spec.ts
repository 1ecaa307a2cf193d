import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { namesOf, testFiles, testTitles } from '../../../scripts/docs/promises.mjs';

const root = fileURLToPath(new URL('../../../', import.meta.url));

describe('the titles of the tests', () => {
  const titles = testFiles(root).flatMap((file) =>
    testTitles(readFileSync(`${root}${file}`, 'utf8')).map(({ title }) => ({
      title,
      where: `${file}: ${title}`,
    })),
  );

  it('say what a test proves first, and name its clauses at the end, in parentheses', () => {
    const elsewhere = titles.filter(({ title }) => namesOf(title.replace(/ \([^()]*\)$/, '')).length > 0);
    expect(elsewhere.map(({ where }) => where)).toEqual([]);
  });

  it('use the words of the field for a gap, a resume and a notification', () => {
    const dialect =
      /\b(?:whoever|anew|meanwhile|in vain|goes? on|lets? go|is told|are told|the word of|holes?|nobody’s)\b/i;
    expect(titles.filter(({ title }) => dialect.test(title)).map(({ where }) => where)).toEqual([]);
  });
});
