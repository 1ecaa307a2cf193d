import { describe, expect, it } from '@jest/globals';
import { readdirSync, readFileSync } from 'node:fs';
import { CLOSE_CODES, closeActionOf } from '../../../lib/protocol/close-codes.js';
import { docsOf, ERROR_CODES, type ErrorCode } from '../../../lib/protocol/error-codes.js';
import * as meanings from '../../../lib/protocol/meanings.js';
import { renderErrors, strayNotes, type ErrorTable } from '../../../scripts/docs/errors.mjs';
import { slug } from '../../../scripts/docs/markdown.mjs';
import { sameMarkdown } from '../../support/markdown.js';

const table = JSON.parse(
  readFileSync(new URL('../../../scripts/docs/error-table.json', import.meta.url), 'utf8'),
) as ErrorTable;
const document = readFileSync(new URL('../../../docs/errors.md', import.meta.url), 'utf8');

describe('docs/errors.md', () => {
  it('is what the catalogues generate; `npm run docs` writes it', () => {
    expect(
      sameMarkdown(document, renderErrors(ERROR_CODES, CLOSE_CODES, meanings, closeActionOf, table)),
    ).toBe(true);
    expect(strayNotes(ERROR_CODES, CLOSE_CODES)).toEqual([]);
  });

  it('explains every status that requests of sessions over HTTP are answered with', () => {
    const folder = new URL('../../../lib/transports/http-session/', import.meta.url);
    const written = readdirSync(folder)
      .map((name) => readFileSync(new URL(name, folder), 'utf8'))
      .flatMap((source) => [...source.matchAll(/(?:status: |refused\(|endAnswer\(|writeHead\()(\d{3})\b/g)]);
    const section = document.split('## Statuses of sessions over HTTP')[1]?.split('\n## ')[0] ?? '';
    const explained = [...section.matchAll(/^\| (\d{3}) /gm)].map(([, status]) => status);
    const statuses = new Set(written.map(([, status]) => status));
    expect(statuses.size).toBeGreaterThan(6);
    expect([...statuses].filter((status) => !explained.includes(status))).toEqual([]);
  });

  it('is out of date as soon as a meaning changes', () => {
    const { ERROR_MEANINGS, CLOSE_MEANINGS } = meanings;
    for (const changed of [
      { CLOSE_MEANINGS, ERROR_MEANINGS: { ...ERROR_MEANINGS, muted: 'Something else.' } },
      { ERROR_MEANINGS, CLOSE_MEANINGS: { ...CLOSE_MEANINGS, kicked: 'Something else.' } },
    ]) {
      const text = renderErrors(ERROR_CODES, CLOSE_CODES, changed, closeActionOf, table);
      expect(sameMarkdown(document, text)).toBe(false);
    }
  });

  it('is out of date as soon as an exception becomes something else', () => {
    const [[name, cells] = ['', undefined]] = Object.entries(table);
    const changed = {
      ...table,
      [name]: { ...cells, publish: { code: 'internal', then: 'no' } },
    } as ErrorTable;
    expect(
      sameMarkdown(document, renderErrors(ERROR_CODES, CLOSE_CODES, meanings, closeActionOf, changed)),
    ).toBe(false);
  });

  it('cannot be generated with a code that has no explanation', () => {
    const more = { ...ERROR_CODES, new_code: ERROR_CODES.muted };
    expect(() => renderErrors(more, CLOSE_CODES, meanings, closeActionOf, table)).toThrow('"new_code"');
  });

  it('has the anchor that error frames link to, once per code', () => {
    const anchors = [...document.matchAll(/^#+ (.+)$/gm)].map(([, heading]) => slug(String(heading)));
    for (const code of Object.keys(ERROR_CODES) as ErrorCode[]) {
      expect(docsOf(code)).toBe(`nestjs-realtime/docs/errors.md#${code}`);
      expect(anchors.filter((anchor) => anchor === code)).toHaveLength(1);
    }
  });
});
