import { styleText } from 'node:util';
import type { DoctorFinding, DoctorLevel } from './check.js';
import type { DoctorReport } from './report.js';

/** How the table is shown. */
export interface TableOptions {
  /** Columns of the terminal. */
  readonly width: number;
  readonly colours: boolean;
}

type Style = (format: Parameters<typeof styleText>[0], text: string) => string;

const COLOURS = { ok: 'green', advice: 'cyan', warning: 'yellow', error: 'red' } as const;
/** Columns of the words for levels, and of what stands before them. */
const INDENT = 11;
const NARROWEST = 24;
/** Longer lines are hard to read. */
const WIDEST = 100;

/** The report for people: one paragraph for each finding, what to do below it, and the sum at the end. */
export function tableOf(report: DoctorReport, subject: string, { width, colours }: TableOptions): string {
  const style: Style = (format, text) =>
    // Colours are decided by the caller, not by the stream of this process.
    colours ? styleText(format, text, { validateStream: false }) : text;
  const columns = Math.max(NARROWEST, Math.min(WIDEST, width));
  const room = columns - INDENT;
  const lines = [style('bold', `Doctor of ${subject}`)];
  let title = '';
  for (const finding of report.findings) {
    const section = sectionOf(finding.id);
    if (section !== title) lines.push('', style('bold', section));
    title = section;
    lines.push(...paragraphOf(finding, room, style));
  }
  return `${[...lines, '', ...sumOf(report, columns, style)].join('\n')}\n`;
}

/** The part of an id before its point. */
function sectionOf(id: string): string {
  const [part = id] = id.split('.');
  return part === 'boot' ? 'Start' : part.charAt(0).toUpperCase() + part.slice(1);
}

function paragraphOf(finding: DoctorFinding, room: number, style: Style): readonly string[] {
  const { level, id, subject, accepted, remedy, see } = finding;
  const word = accepted === undefined ? level : 'accepted';
  const head = subject === undefined ? id : `${id} ${subject}`;
  const [first = '', ...rest] = wrap(`${head}: ${finding.finding}`, room);
  const shown = first.startsWith(head) ? style('bold', head) + first.slice(head.length) : first;
  const label = style(accepted === undefined ? COLOURS[level] : 'dim', word.padEnd(INDENT - 2));
  const lines = [`  ${label}${shown}`, ...indented(rest)];
  if (level === 'ok') return lines;
  if (accepted !== undefined) return [...lines, ...indented(wrap(`Accepted: ${accepted}`, room))];
  const [action = '', ...more] = wrap(remedy ?? '', room - 2);
  lines.push(...indented([`→ ${action}`, ...more.map((line) => `  ${line}`)]));
  return [...lines, ...indented([style('dim', `  ${see}`)])];
}

function indented(lines: readonly string[]): readonly string[] {
  return lines.map((line) => ' '.repeat(INDENT) + line);
}

function sumOf(
  { counts, findings, passed, unused }: DoctorReport,
  columns: number,
  style: Style,
): readonly string[] {
  const levels: readonly (readonly [DoctorLevel | 'accepted', string])[] = [
    ['error', counts.error === 1 ? 'error' : 'errors'],
    ['warning', counts.warning === 1 ? 'warning' : 'warnings'],
    ['advice', 'advice'],
    ['accepted', 'accepted'],
    ['ok', 'ok'],
  ];
  const lines = [...wrap(levels.map(([level, word]) => `${counts[level]} ${word}`).join(', '), columns)];
  if (unused.length > 0)
    lines.push(...wrap(`Accepted, but not found: ${unused.join(', ')}. Remove it.`, columns));
  const but = counts.warning === 0 ? '' : ', but look at the warnings';
  const worst = counts.error > 0 ? 'error' : 'warning';
  const ids = findings.filter(({ level, accepted }) => level === worst && accepted === undefined);
  const names = [...new Set(ids.map(({ id }) => id))].join(', ');
  const verdict = passed ? `Fit for production${but}.` : `Not fit for production: ${names}.`;
  return [...lines, ...wrap(verdict, columns).map((line) => style(passed ? 'green' : 'red', line))];
}

/** A number and its unit, which stay in one line. */
const QUANTITY = /(?<=\d) (?=(?:d|h|min|s|ms|bytes|KiB|MiB)\b)/g;
const GLUE = '\u00a0';

/** Lines of at most `room` characters; a word that is longer has a line of its own. */
export function wrap(text: string, room: number): readonly string[] {
  return linesOf(text.replace(QUANTITY, GLUE), room).map((line) => line.replaceAll(GLUE, ' '));
}

function linesOf(text: string, room: number): readonly string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > room) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
