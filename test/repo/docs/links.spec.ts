import { describe, expect, it } from '@jest/globals';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { anchorsOf, withoutFences } from '../../../scripts/docs/markdown.mjs';

const root = fileURLToPath(new URL('../../../', import.meta.url));
/** Every document that people read; docs/api holds reports, which a tool writes. */
const DOCUMENTS = [
  ...markdownIn('.'),
  ...markdownIn('docs'),
  ...markdownIn('docs/decisions'),
  'bench/README.md',
  'sample/README.md',
  'lib/client/README.md',
];

function markdownIn(folder: string): string[] {
  return readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.md'))
    .map((name) => normalize(join(folder, name)));
}

/** The text without code, where brackets and hashes mean something else. */
function prose(markdown: string): string {
  return withoutFences(markdown).replace(/`[^`\n]*`/g, (code) => code.replace(/[[\]()]/g, '·'));
}

describe.each(DOCUMENTS)('%s', (file) => {
  const markdown = readFileSync(join(root, file), 'utf8');

  it('links only to files and headings that exist', () => {
    const broken: string[] = [];
    for (const [, target] of prose(markdown).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (target === undefined || /^[a-z]+:/.test(target)) continue;
      const [path = '', anchor] = target.split('#');
      const found = path === '' ? file : normalize(join(dirname(file), path));
      if (!existsSync(join(root, found))) broken.push(target);
      else if (anchor !== undefined && !anchorsOf(readFileSync(join(root, found), 'utf8')).has(anchor))
        broken.push(target);
    }
    expect(broken).toEqual([]);
  });

  it('has tables with equally many cells in each row, and closed code fences', () => {
    const uneven: string[] = [];
    let cells = 0;
    for (const line of withoutFences(markdown).split('\n')) {
      const row = line.trim();
      if (!row.startsWith('|')) {
        cells = 0;
        continue;
      }
      const count = row.replace(/\\\|/g, '').split('|').length;
      if (cells !== 0 && count !== cells) uneven.push(row);
      cells = count;
    }
    expect(uneven).toEqual([]);
    expect((markdown.match(/^\s*```/gm) ?? []).length % 2).toBe(0);
  });

  it('names only source files that exist', () => {
    const named = [...prose(markdown).matchAll(/`((?:lib|test|scripts)\/[\w./-]+\.\w+)`/g)].map(
      ([, path]) => path,
    );
    expect(named.filter((path) => !existsSync(`${root}${String(path)}`))).toEqual([]);
  });
});
