// The table of docs/metrics.md, made from lib/metrics/table. test/repo/docs/metrics.spec.ts checks it.

const FROM = /<!-- metrics:.*?-->/;
const TO = '<!-- /metrics -->';

/**
 * @param {string} document docs/metrics.md as it is
 * @param {Readonly<Record<string, { type: string, unit: string, labels: readonly string[], meaning: string, advice: string }>>} metrics
 *   by their name behind the prefix
 * @returns {string} the document with the table of these metrics
 * @throws Error where the document has no place for it
 */
export function renderMetrics(document, metrics) {
  const from = FROM.exec(document);
  const to = document.indexOf(TO);
  if (from === null || to < 0) throw new Error('docs/metrics.md has no place for the metrics');
  const rows = Object.entries(metrics).map(
    ([name, { type, unit, labels, meaning, advice }]) =>
      `| \`realtime_${name}\` | ${type} | ${unit} | ${labels.map((label) => `\`${label}\``).join(', ')} | ${meaning} | ${advice} |`,
  );
  const table = [
    '| name | type | unit | labels | what it says | what to do |',
    '| --- | --- | --- | --- | --- | --- |',
    ...rows,
  ];
  return `${document.slice(0, from.index + from[0].length)}\n\n${table.join('\n')}\n\n${document.slice(to)}`;
}
