import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { MODULE_TABLE } from '../../../lib/nest/options/option-table.js';
import { documented, FILES, idleTimes, placed, type ProxyName } from '../../support/proxies/configuration.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const document = readFileSync(`${root}docs/deployment.md`, 'utf8');
const PROXIES = Object.keys(FILES) as ProxyName[];
const LANGUAGE = { nginx: 'nginx', haproxy: 'haproxy', caddy: 'caddyfile' };

describe('docs/deployment.md', () => {
  it.each(PROXIES)('shows the file of %s that the tests run, letter by letter', (proxy) => {
    const shown = document.split(`\`\`\`${LANGUAGE[proxy]}\n`)[1]?.split('```')[0];
    expect(shown).toBe(documented(proxy));
  });

  it.each(PROXIES)('the idle time-out of %s is the one that the module expects by default', (proxy) => {
    const { default: expected } = MODULE_TABLE.proxyIdleTimeout;
    for (const line of idleTimes(proxy)) {
      expect(documented(proxy)).toContain(line);
      expect(Number(/(\d+)s$/.exec(line)?.[1]) * 1_000).toBe(expected);
    }
  });

  it.each(PROXIES)('a test run of %s changes ports and folders, and nothing else', (proxy) => {
    const place = { port: 1, nodes: [2, 3] as const, folder: '/run', adminPort: 4 };
    const changed = placed(proxy, { ...place, nodes: [2, 3] }).split('\n');
    const lines = documented(proxy).split('\n');
    expect(changed).toHaveLength(lines.length);
    const differing = lines.filter((line, index) => line !== changed[index]);
    for (const line of differing)
      expect(line).toMatch(
        /listen 443|bind :443|example\.com:443|127\.0\.0\.1:300[01]|\/etc\/ssl\/realtime\/|localhost:2019/,
      );
    expect(differing.length).toBeGreaterThan(2);
  });

  it('a test run complains where a file no longer says what it would replace', () => {
    const place = { port: 1, nodes: [2, 3] as [number, number], folder: '/run', adminPort: 4 };
    expect(() => placed('nginx', { ...place, idleMs: 5_000 })).not.toThrow();
    expect(placed('nginx', { ...place, idleMs: 5_000 })).toContain('proxy_read_timeout 5000ms');
  });

  it('nginx ends connections to nodes that nobody uses before Node.js does, as a request on one that closes is lost', () => {
    const [, seconds] = /^ {2}keepalive_timeout (\d+)s;$/m.exec(documented('nginx')) ?? [];
    expect(Number(seconds)).toBeGreaterThan(0);
    expect(Number(seconds) * 1_000).toBeLessThan(createServer().keepAliveTimeout);
  });

  it('names a source beside each figure of a service', () => {
    const table = document.split('## Run behind a service')[1]?.split('**API gateways')[0] ?? '';
    const rows = table.split('\n').filter((line) => /^\| [A-Z]/.test(line));
    expect(rows.length).toBeGreaterThan(4);
    for (const row of rows) expect(row).toMatch(/\]\(https:\/\//);
  });
});
