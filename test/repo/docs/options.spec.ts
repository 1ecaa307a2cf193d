import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { duration } from '../../../lib/core/ports/settings-defaults.js';
import * as tables from '../../../lib/nest/options/option-table.js';
import { OPTION_FILES, renderOptions, sectionsOf } from '../../../scripts/docs/options.mjs';
import { sameMarkdown } from '../../support/markdown.js';

const root = new URL('../../../', import.meta.url);
const document = readFileSync(new URL('docs/options.md', root), 'utf8');
const sources = OPTION_FILES.map((file) => readFileSync(new URL(file, root), 'utf8'));

const render = (table: object) =>
  renderOptions(sources, sectionsOf({ ...tables, MODULE_TABLE: { ...tables.MODULE_TABLE, ...table } }));

describe('docs/options.md', () => {
  it('is what the option types and the table say; `npm run docs` writes it', () => {
    expect(sameMarkdown(document, render({}))).toBe(true);
  });

  it('is stale as soon as a bound changes', () => {
    expect(sameMarkdown(document, render({ linger: duration(5_000, { min: 10 }) }))).toBe(false);
  });

  it('refuses a docstring that says another default than the table', () => {
    expect(() => render({ linger: duration(7_000) })).toThrow(
      "The docstring of linger says the default `'5s'`, option-table.ts says `'7s'`",
    );
  });

  it('refuses a row of the table that no option type has', () => {
    expect(() => render({ lingr: duration(5_000) })).toThrow(
      'option-table.ts has "lingr", which is no option',
    );
  });
});
