import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { SHEDDING_STEPS } from '../../../lib/core/ports/overload.js';
import { METRICS } from '../../../lib/metrics/table/index.js';
import { ERROR_CODES } from '../../../lib/protocol/error-codes.js';
import { anchorsOf, slug, withoutFences } from '../../../scripts/docs/markdown.mjs';
import { faultsOf, isMetric } from '../../support/prometheus/metric-names.js';

const root = new URL('../../../', import.meta.url);
const read = (file: string): string => readFileSync(new URL(file, root), 'utf8');
const operations = read('docs/operations.md');
const alerts = read('docs/monitoring/alerts.yml');
const { repository } = JSON.parse(read('package.json')) as { readonly repository: { readonly url: string } };
const RUNBOOK = `${repository.url.replace(/^git\+|\.git$/g, '')}/blob/main/docs/operations.md#`;

/** The sections of one of the second level, by their headings. */
function sectionsOf(heading: string): ReadonlyMap<string, string> {
  const [, text = ''] = operations.split(`\n## ${heading}\n`);
  const [, ...sections] = (text.split(/\n## /)[0] ?? '').split(/\n### /);
  return new Map(sections.map((section) => [section.slice(0, section.indexOf('\n')), section]));
}

/** Code spans outside of fences, with the bars of tables as they are meant. */
const spans = [...withoutFences(operations).matchAll(/`([^`\n]+)`/g)].map(([, code = '']) =>
  code.replace(/\\\|/g, '|'),
);

describe('the alerts', () => {
  const names = [...alerts.matchAll(/alert: (\w+)/g)].map(([, name = '']) => name);
  const sections = sectionsOf('Act on an alert');

  it('have a section of docs/operations.md each, and no section has none', () => {
    expect([...sections.keys()]).toEqual(names);
    expect(names.length).toBeGreaterThan(10);
  });

  it.each(names)('%s says what it means and what to do, and leads to its section', (name) => {
    const [, means = '', toDo = ''] =
      /^\w+\n\n([^\n]+)\n\n\*\*Do:\*\* ([^\n]+)\n/.exec(`${sections.get(name) ?? ''}\n`) ?? [];
    for (const text of [means, toDo]) expect(text).toMatch(/\w{3}.*\.$/);
    const [, rule = ''] = alerts.split(`- alert: ${name}\n`);
    const [annotations = ''] = rule.split('- alert: ');
    expect([...annotations.matchAll(/runbook_url: (\S+)/g)].map(([, url]) => url)).toEqual([
      `${RUNBOOK}${slug(name)}`,
    ]);
    expect(anchorsOf(operations).has(slug(name))).toBe(true);
  });
});

describe('docs/operations.md', () => {
  it('watches five to ten numbers, each with its healthy range, by queries that are real', () => {
    const [, table = ''] = operations.split('\n## Watch these numbers\n');
    const rows = (table.split('\n## ')[0] ?? '').split('\n').filter((line) => line.startsWith('|'));
    const queries = rows.flatMap((row) => /`([^`]*realtime_[^`]*)`/.exec(row)?.[1] ?? []);
    expect(queries).toHaveLength(rows.length - 2);
    expect(queries.length).toBeGreaterThanOrEqual(5);
    expect(queries.length).toBeLessThanOrEqual(10);
    for (const row of rows)
      expect(
        row
          .split(/(?<!\\)\|/)
          .every((cell, index, all) => index === 0 || index === all.length - 1 || cell.trim() !== ''),
      ).toBe(true);
    expect(queries.map((query) => query.replace(/\\\|/g, '|')).flatMap(faultsOf)).toEqual([]);
  });

  it('names only metrics that exist', () => {
    const named = spans.filter((code) => code.includes('realtime_'));
    expect(named.filter((code) => !/^\w+$/.test(code)).flatMap(faultsOf)).toEqual([]);
    expect(named.filter((code) => /^\w+$/.test(code) && !isMetric(code))).toEqual([]);
    expect(named.length).toBeGreaterThan(15);
  });

  it('names only options, codes and other words that exist', () => {
    const unknown = namesIn(spans).filter((name) => !isKnown(name));
    expect([...new Set(unknown)]).toEqual([]);
    // What is misspelt is found.
    expect(['limits.maxConections', 'shedding.loopdelay', 'retry.maxi'].filter(isKnown)).toEqual([]);
  });

  it('says the defaults of options as they are', () => {
    const said = [...operations.matchAll(/`([\w.]+)` \(([\d,.]+(?: (?:ms|s|min|h))?)[);,]/g)].filter(
      ([, name = '']) => OPTIONS.has(name),
    );
    expect(said.length).toBeGreaterThan(8);
    expect(
      said
        .filter(([, name = '', value = '']) => bare(value) !== bare(OPTIONS.get(name) ?? ''))
        .map(([text]) => text),
    ).toEqual([]);
  });

  it('has a recipe for each incident that its list of contents is for', () => {
    expect([...sectionsOf('Handle an incident').keys()]).toEqual([
      'Redis is down',
      'Redis is full',
      'A node is stuck',
      'All clients come back at once',
      'A client leaks, or one user is noisy',
      'A wrong revoke, ban or erase',
      'A clock jumps',
      'A certificate ends',
      'A deploy goes wrong',
    ]);
  });
});

describe('other documents', () => {
  it.each([
    'README.md',
    'docs/capacity.md',
    'docs/guide.md',
    'docs/hooks.md',
    'docs/metrics.md',
    'docs/moderation.md',
    'docs/scaling.md',
    'docs/tracing.md',
    'sample/README.md',
  ])('%s names only metrics that exist', (file) => {
    const named = [...read(file).matchAll(/\brealtime_[a-z_]*[a-z]\b/g)].map(([name]) => name);
    expect(named.filter((name) => !isMetric(name))).toEqual([]);
  });
});

/** Options of the module and of channels, with their defaults as docs/options.md has them. */
const OPTIONS: ReadonlyMap<string, string> = new Map(
  [...read('docs/options.md').matchAll(/^\| `([\w.]+)`[^|]*(?:\\\|[^|]*)*\| ([^|]*?) *\|/gm)].map(
    ([, name = '', value = '']) => [name, (value.split('<br>')[0] ?? '').replace(/[`']/g, '')],
  ),
);

/** `50ms` and `50 ms`, `1,000` and `1000`. */
function bare(value: string): string {
  return value.replace(/[, ]/g, '').replace(/min$/, 'm');
}

/** Names like those of options and codes, and what stands before a colon in `name: value`. */
function namesIn(codes: readonly string[]): readonly string[] {
  return codes
    .flatMap((code) => /^([a-z][\w.]*)(?:: .+)?$/.exec(code)?.[1] ?? [])
    .filter((name) => !name.startsWith('realtime_'));
}

function isKnown(name: string): boolean {
  const leaf = !name.includes('.') && [...OPTIONS.keys()].some((path) => path.endsWith(`.${name}`));
  return (
    OPTIONS.has(name) ||
    leaf ||
    Object.hasOwn(ERROR_CODES, name) ||
    Object.hasOwn(METRICS, name) ||
    (SHEDDING_STEPS as readonly string[]).includes(name) ||
    OTHERS.has(name)
  );
}

/** Words that are neither options nor codes. */
const OTHERS: ReadonlySet<string> = new Set([
  // Of Kubernetes, HAProxy and nginx.
  'namespace',
  'pod',
  'rules.custom',
  'stabilizationWindowSeconds',
  'leastconn',
  'least_conn',
  // Of the indicator of health.
  'live',
  'ready',
  'down',
  'degraded',
  'draining',
  'graceMs',
  'downFrom',
  // Of the protocol.
  'welcome',
  'subscribe',
  'bye',
  'gap',
  'reset',
  'lost',
  'unsubscribed',
  'signal',
  'presence_update',
  'retryAfterMs',
  'exp',
  'key',
  // Of labels and annotations.
  'reason',
  'recovery',
  'runbook_url',
  // Of acts, and their receipts.
  'slow',
  'mute',
  'missing',
  // Of an observer.
  'onOverload',
  'onDrain',
  // Of webhooks.
  'secrets',
  'maxAge',
  // Of Nest, Kubernetes, PM2, Redis, Caddy, an exporter of Prometheus.
  'useProcessExit',
  'preStop',
  'kill_timeout',
  'maxmemory',
  'noeviction',
  'ssubscribe',
  'stream_close_delay',
  'blackbox_exporter',
  'probe_ssl_earliest_cert_expiry',
  // Of the folder of a file that another test looks for.
  'test',
]);
