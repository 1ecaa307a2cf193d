import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const read = (file: string) => readFileSync(root + file, 'utf8');

const PAGES = ['docs/authentication.md', 'docs/hooks.md', 'docs/tracing.md'];
/** A block of a page, and the comment before it that says where it comes from. */
const BLOCK =
  /<!-- (test\/e2e\/nest\/recipes\/[\w-]+\.(?:ts|mjs)): ([^\n]+) -->\n\n```(?:ts|js)\n([\s\S]*?)\n```/g;
const blocks = PAGES.flatMap((page) =>
  [...read(page).matchAll(BLOCK)].map(([, file = '', name = '', code = '']) => ({ file, name, code })),
);

describe('the recipes of the documents', () => {
  it('are all those of the tests, which run them', () => {
    const files = [...new Set(blocks.map(({ file }) => file))];
    const there = files.flatMap((file) =>
      [...read(file).matchAll(/^\/\/ recipe: (.+)$/gm)].map(([, name]) => name),
    );
    expect(blocks.map(({ name }) => name).sort()).toEqual(there.sort());
    expect(files.length).toBeGreaterThanOrEqual(5);
  });

  it.each(blocks)('$name says what $file has', ({ file, name, code }) => {
    const source = read(file);
    const begin = `// recipe: ${name}\n`;
    const from = source.indexOf(begin) + begin.length;
    expect(code.trim()).toBe(source.slice(from, source.indexOf('// end', from)).trim());
  });
});
