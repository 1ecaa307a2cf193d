import { describe, expect, it } from '@jest/globals';
import { stripVTControlCharacters } from 'node:util';
import { findingsOf, reportOf } from '../../../lib/doctor/report.js';
import { tableOf, wrap } from '../../../lib/doctor/table.js';
import { channelOf, factsOf } from './facts.js';

const report = reportOf(
  findingsOf(
    factsOf({ ticketSecret: 'x'.repeat(32) }, { channels: [channelOf(), channelOf({ isPublic: true })] }),
  ),
  { accept: { 'transport.tls': 'one host', 'limits.spam': 'not needed' }, strict: false },
);
const plain = (width: number) => tableOf(report, 'dist/app.module.js', { width, colours: false });

describe('the table of the doctor', () => {
  it.each([40, 60, 80, 100, 300])('fits into %i columns, but for names that are longer', (width) => {
    const long = plain(width)
      .split('\n')
      .filter((line) => line.length > Math.min(width, 100));
    expect(long.filter((line) => line.trim().includes(' ') && !line.includes('→'))).toEqual([]);
  });

  it('says all that the report has: level, id, subject, finding, remedy and document', () => {
    const text = plain(80).replace(/\s+/g, ' ');
    for (const { level, id, subject, finding, remedy, see, accepted } of report.findings) {
      const head = subject === undefined ? id : `${id} ${subject}`;
      expect(text).toContain(`${accepted === undefined ? level : 'accepted'} ${head}: ${finding}`);
      if (level === 'ok') continue;
      expect(text).toContain(accepted === undefined ? `→ ${remedy} ${see}` : `Accepted: ${accepted}`);
    }
  });

  it('ends with the sum, what is accepted for nothing, and the verdict', () => {
    expect(plain(80).trimEnd().split('\n').slice(-3)).toEqual([
      expect.stringMatching(/^1 error, \d+ warnings, \d+ advice, 1 accepted, \d+ ok$/),
      'Accepted, but not found: limits.spam. Remove it.',
      'Not fit for production: access.secrets.',
    ]);
  });

  it('names in the verdict the warnings that fail a strict look, and else asks to look at them', () => {
    const findings = report.findings.filter(({ level }) => level !== 'error');
    const last = (strict: boolean) =>
      tableOf(reportOf(findings, { accept: {}, strict }), 'app', { width: 80, colours: false })
        .trimEnd()
        .split('\n')
        .at(-1);
    expect(last(true)).toMatch(/^Not fit for production: transport\.origins, .*broker\.durability\.$/);
    expect(last(false)).toBe('Fit for production, but look at the warnings.');
  });

  it('has colours only where they are wanted, and the same words with them', () => {
    const coloured = tableOf(report, 'dist/app.module.js', { width: 80, colours: true });
    expect(plain(80)).toBe(stripVTControlCharacters(plain(80)));
    expect(coloured).not.toBe(plain(80));
    expect(stripVTControlCharacters(coloured)).toBe(plain(80));
  });

  it('keeps a number and its unit together', () => {
    expect(wrap('after 1 min', 8)).toEqual(['after', '1 min']);
    expect(wrap('one two three', 7)).toEqual(['one two', 'three']);
    expect(wrap('a-word-that-is-too-long at all', 6)).toEqual(['a-word-that-is-too-long', 'at all']);
  });
});
