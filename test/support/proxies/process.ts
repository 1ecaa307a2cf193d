import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection, type LookupFunction } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ConnectionOptions } from 'node:tls';
import { makeCertificate, type Certificate } from '../certificate.js';
import { patience } from '../patience.js';
import { freePort } from '../redis/process.js';
import { until } from '../until.js';
import { FILES, HOST, placed, type ProxyName } from './configuration.js';

/** How a proxy is started. */
export interface ProxyOptions {
  /** Ports of the nodes behind it; one stands in both places of the file. */
  readonly nodes: readonly [number, number?];
  /** Its time-out for silent connections, instead of that of the file. */
  readonly idleMs?: number;
  /** Changes the file: for tests of what a line is there for. */
  readonly alter?: (text: string) => string;
}

/** A proxy of a test's own with the file of docs/deployment: free ports, a temporary folder, ended by its pid. */
export class ProxyProcess {
  private constructor(
    readonly name: ProxyName,
    readonly port: number,
    private readonly folder: string,
    private readonly certificate: Certificate,
    private readonly child: ChildProcess,
  ) {}

  static async start(name: ProxyName, { nodes, idleMs, alter }: ProxyOptions): Promise<ProxyProcess> {
    const folder = mkdtempSync(join(tmpdir(), `rt-${name}-`));
    const certificate = makeCertificate(HOST);
    const { key, cert } = certificate;
    const write = (file: string, text: string): void => writeFileSync(join(folder, file), text);
    write('fullchain.pem', cert);
    write('key.pem', key);
    write('haproxy.pem', cert + key);
    const [port, adminPort] = [await freePort(), await freePort()];
    const [first, second = first] = nodes;
    const text = placed(name, { port, nodes: [first, second], folder, adminPort, idleMs });
    const { file } = FILES[name];
    write(file, alter === undefined ? text : alter(text));
    const child = launch(name, folder, file);
    await answering(name, child, port);
    return new ProxyProcess(name, port, folder, certificate, child);
  }

  /** Host and port, as a client writes them. */
  get authority(): string {
    return `${HOST}:${this.port}`;
  }

  get url(): string {
    return `wss://${this.authority}/realtime`;
  }

  /** What a client of `ws`, or of `node:https`, needs to find the proxy and to trust it. */
  get tls(): Pick<ConnectionOptions, 'ca' | 'lookup' | 'servername'> {
    return { ca: this.certificate.cert, lookup: toLoopback, servername: HOST };
  }

  /** Path of the certificate, for programs. */
  get certificateFile(): string {
    return join(this.folder, 'fullchain.pem');
  }

  async close(): Promise<void> {
    const { child } = this;
    if (child.exitCode === null && child.signalCode === null) {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      // Each of them ends at once and takes its workers along.
      child.kill('SIGTERM');
      await ended;
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Every name is this machine, in both forms of the answer. */
const toLoopback: LookupFunction = (_name, { all }, done) => {
  if (all === true) done(null, [{ address: '127.0.0.1', family: 4 }]);
  else done(null, '127.0.0.1', 4);
};

function launch(name: ProxyName, folder: string, file: string): ChildProcess {
  const path = join(folder, file);
  const env = { ...process.env, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder };
  const start = (args: string[]): ChildProcess =>
    spawn(name, args, { stdio: ['ignore', 'pipe', 'pipe'], env });
  switch (name) {
    case 'nginx':
      return start(['-p', folder, '-e', 'stderr', '-c', nginxAround(path, folder)]);
    case 'haproxy':
      return start(['-db', '-f', path]);
    case 'caddy':
      return start(['run', '--adapter', 'caddyfile', '--config', path]);
  }
}

/** The file is one of `conf.d`; this is the rest of a machine's configuration, in the test's own folder. */
function nginxAround(file: string, folder: string): string {
  const main = join(folder, 'main.conf');
  mkdirSync(join(folder, 'temp'));
  const temps = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (kind) => `${kind}_temp_path ${folder}/temp/${kind};`,
  );
  writeFileSync(
    main,
    [
      ...(process.getuid?.() === 0 ? ['user root;'] : []),
      `daemon off; worker_processes 1; pid ${folder}/nginx.pid;`,
      'events { worker_connections 1024; }',
      // What a machine may have around the file: it must not matter to streams.
      `http { access_log off; gzip on; gzip_types *; gzip_min_length 0; ${temps.join(' ')} include ${file}; }`,
    ].join('\n'),
  );
  return main;
}

async function answering(name: string, child: ChildProcess, port: number): Promise<void> {
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-4_000)));
  let failed: Error | undefined;
  child.once('error', (error) => (failed = error));
  await until(`${name} to listen on port ${port}`, () => {
    if (failed !== undefined) throw failed;
    if (child.exitCode !== null) throw new Error(`${name} ended with ${child.exitCode}: ${said}`);
    return takesConnections(port);
  });
}

function takesConnections(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ port, host: '127.0.0.1' });
    const done = (result: boolean) => {
      socket.destroy();
      resolve(result);
    };
    socket.setTimeout(patience(500), () => done(false));
    socket.once('error', () => done(false));
    socket.once('connect', () => done(true));
  });
}
