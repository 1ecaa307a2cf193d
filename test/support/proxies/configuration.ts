import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The name for which the files of docs/deployment serve. */
export const HOST = 'realtime.example.com';

/** The proxies with a file in docs/deployment. */
export type ProxyName = 'nginx' | 'haproxy' | 'caddy';

/** What a test run says instead of the files. */
export interface Placement {
  readonly port: number;
  /** Ports of the nodes, two: a node that is alone stands in both places. */
  readonly nodes: readonly [number, number];
  /** Folder with the certificates. */
  readonly folder: string;
  /** Port for the administration of Caddy. */
  readonly adminPort: number;
  /** Time-out of silent connections, milliseconds. Default: that of the file. */
  readonly idleMs?: number | undefined;
}

const FOLDER = fileURLToPath(new URL('../../../docs/deployment/', import.meta.url));

/** The file of each proxy, and how it names the place where it listens. */
export const FILES = {
  nginx: { file: 'nginx.conf', listen: 'listen 443 ', at: (port: number) => `listen 127.0.0.1:${port} ` },
  haproxy: { file: 'haproxy.cfg', listen: 'bind :443 ', at: (port: number) => `bind 127.0.0.1:${port} ` },
  caddy: { file: 'Caddyfile', listen: `${HOST}:443 `, at: (port: number) => `${HOST}:${port} ` },
} as const;

/** The file as the documentation shows it. */
export function documented(proxy: ProxyName): string {
  return readFileSync(join(FOLDER, FILES[proxy].file), 'utf8');
}

/**
 * The documented file with the ports and folders of a test run in place of its own. Nothing else is changed, except for the
 * time-out where a test asks for another.
 *
 * @throws Error where the file does not say what would be replaced.
 */
export function placed(proxy: ProxyName, { port, nodes, folder, adminPort, idleMs }: Placement): string {
  const { listen, at } = FILES[proxy];
  const replacements: [string, string][] = [
    [listen, at(port)],
    ['127.0.0.1:3000', `127.0.0.1:${nodes[0]}`],
    ['127.0.0.1:3001', `127.0.0.1:${nodes[1]}`],
    ['/etc/ssl/realtime/', `${folder}/`],
  ];
  if (proxy === 'caddy') replacements.push(['localhost:2019', `localhost:${adminPort}`]);
  if (idleMs !== undefined) replacements.push(...idleTimes(proxy).map(withTime(idleMs)));
  return replacements.reduce((text, [from, to]) => {
    if (!text.includes(from)) throw new Error(`docs/deployment/${FILES[proxy].file} does not say "${from}"`);
    return text.replaceAll(from, to);
  }, documented(proxy));
}

/** The lines that say after which silence a proxy cuts. */
export function idleTimes(proxy: ProxyName): string[] {
  const names = {
    nginx: ['proxy_read_timeout', 'proxy_send_timeout'],
    haproxy: ['timeout client', 'timeout server', 'timeout tunnel'],
    caddy: ['read_timeout', 'write_timeout'],
  }[proxy];
  return names.map((name) => `${name} 60s`);
}

function withTime(ms: number): (line: string) => [string, string] {
  return (line) => [line, line.replace('60s', `${ms}ms`)];
}
