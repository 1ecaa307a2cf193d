// The check-list in docs/doctor.md, made from lib/doctor/checks. test/repo/docs/doctor.spec.ts checks it.

const FROM = /<!-- checks:.*?-->/;
const TO = '<!-- /checks -->';

/**
 * @param {string} document docs/doctor.md as it is
 * @param {readonly { id: string, title: string, asks: string, see: string, outcomes: Readonly<Record<string, { level: string, finding: string, remedy?: string }>> }[]} checks
 * @returns {string} the document with these checks
 * @throws Error where the document has no place for them
 */
export function renderDoctor(document, checks) {
  const from = FROM.exec(document);
  const to = document.indexOf(TO);
  if (from === null || to < 0) throw new Error('docs/doctor.md has no place for the checks');
  const sections = checks.map(sectionOf).join('\n\n');
  return `${document.slice(0, from.index + from[0].length)}\n\n${sections}\n\n${document.slice(to)}`;
}

function sectionOf({ id, title, asks, see, outcomes }) {
  const rows = Object.entries(outcomes).map(
    ([name, { level, finding, remedy = '' }]) =>
      `| \`${name}\` | ${level} | ${cell(finding)} | ${cell(remedy)} |`,
  );
  return [
    `### ${title}: \`${id}\``,
    '',
    `${asks} See [${see.split('#')[0]}](${see}).`,
    '',
    '| outcome | level | finding | remedy |',
    '| --- | --- | --- | --- |',
    ...rows,
  ].join('\n');
}

/** Sentences for a terminal: what Markdown would read as marks is escaped. */
function cell(text) {
  return text.replace(/[|*_<[]/g, String.raw`\$&`);
}
