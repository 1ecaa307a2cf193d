import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { METRICS, type MetricDefinition } from '../../../lib/metrics/table/index.js';
import { renderMetrics } from '../../../scripts/docs/metrics.mjs';
import { sameMarkdown } from '../../support/markdown.js';
import { faultsOf, isLabelOf, seriesOf } from '../../support/prometheus/metric-names.js';
import { promtool } from '../../support/prometheus/promtool.js';

const folder = new URL('../../../docs/', import.meta.url);
const read = (file: string): string => readFileSync(new URL(file, folder), 'utf8');
const monitoring = fileURLToPath(new URL('monitoring/', folder));
const definitions: Readonly<Record<string, MetricDefinition>> = METRICS;

interface Panel {
  readonly id: number;
  readonly title: string;
  readonly type: string;
  readonly gridPos: { readonly x: number; readonly w: number };
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
}
const { panels } = JSON.parse(read('monitoring/grafana-dashboard.json')) as { panels: readonly Panel[] };
const panelQueries = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));

describe('docs/metrics.md', () => {
  it('has the table of lib/metrics/table: npm run docs writes it', () => {
    const document = read('metrics.md');
    expect(sameMarkdown(renderMetrics(document, METRICS), document)).toBe(true);
    expect(() => renderMetrics('# Metrics', METRICS)).toThrow('no place');
  });

  it.each(Object.entries(definitions))(
    '%s has a unit in its name, and says what to do',
    (name, definition) => {
      const { type, unit, labels, buckets, meaning, advice } = definition;
      if (unit === 'seconds' || unit === 'bytes') expect(name).toMatch(new RegExp(`_${unit}(_total)?$`));
      expect(name.endsWith('_total')).toBe(type === 'counter');
      expect(buckets === undefined).toBe(type !== 'histogram');
      expect(labels.length).toBeLessThanOrEqual(3);
      for (const text of [meaning, advice]) expect(text).toMatch(/\.$/);
    },
  );
});

describe('the alerts and the dashboard', () => {
  it('are rules that promtool takes, and whose tests pass', () => {
    const checked = promtool(['check', 'rules', 'alerts.yml'], '', monitoring);
    expect([checked.status, checked.text]).toEqual([0, expect.stringContaining('SUCCESS')]);
    const tested = promtool(['test', 'rules', 'alerts.test.yml'], '', monitoring);
    expect([tested.status, tested.text]).toEqual([0, expect.stringContaining('SUCCESS')]);
  });

  it('have a test of each alert, which is silent and fires', () => {
    const tests = read('monitoring/alerts.test.yml');
    for (const [, alert] of read('monitoring/alerts.yml').matchAll(/alert: (\w+)/g)) {
      expect(tests).toMatch(new RegExp(`alertname: ${alert},\\s+exp_alerts: \\[\\]`));
      expect(tests).toMatch(new RegExp(`alertname: ${alert}\\n\\s+exp_alerts:\\n\\s+- exp_labels`));
    }
  });

  it('use real metrics with their real labels only', () => {
    // Without the texts for people.
    const rules = read('monitoring/alerts.yml')
      .replace(/annotations:[\s\S]*?(?=\n\s*\n|$)/g, '')
      .split(/- alert: /)
      .slice(1);
    expect(rules.flatMap(faultsOf)).toEqual([]);
    expect(panelQueries.flatMap(faultsOf)).toEqual([]);
    expect(faultsOf('sum by (room) (realtime_channels{user="x"}) + realtime_chanels')).toEqual([
      'realtime_chanels does not exist',
      'realtime_channels has no label user',
      expect.stringContaining('nothing has a label room'),
    ]);
  });

  it('show every metric on the dashboard, in panels that fit and have a legend of real labels', () => {
    const shown = panelQueries.join('\n');
    const missing = Object.entries(definitions)
      .filter(([name, definition]) => !seriesOf(name, definition).some((series) => shown.includes(series)))
      .map(([name]) => name);
    expect(missing).toEqual([]);
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    for (const { gridPos, targets = [] } of panels) {
      expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
      for (const { expr, legendFormat } of targets)
        for (const [, label = ''] of legendFormat.matchAll(/\{\{(\w+)\}\}/g))
          expect([...expr.matchAll(/\brealtime_\w+/g)].some(([name]) => isLabelOf(name, label))).toBe(true);
    }
  });
});
