import { afterEach, describe, expect, it } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from '@nats-io/transport-node';
import { openNatsLog } from '../../../lib/brokers/nats/log.js';
import type { NatsLogOptions } from '../../../lib/brokers/nats/options.js';
import { LogSetupError, type OrderedLog } from '../../../lib/brokers/replicated/ordered-log.js';
import { systemClock } from '../../../lib/core/ports/clock.js';
import { systemEntropy } from '../../../lib/core/ports/entropy.js';
import { makeCertificate } from '../../support/certificate.js';
import { NatsProcess, type NatsProcessOptions } from '../../support/nats/process.js';
import { stretched } from '../../support/patience.js';
import { until } from '../../support/until.js';
import { bytesOf, LogReader } from './log-reader.js';
import { manage } from './nats-deployment.js';

const BYTES = 16_777_216;
const servers: NatsProcess[] = [];
const logs: OrderedLog[] = [];

afterEach(async () => {
  for (const log of logs.splice(0)) await log.close();
  for (const server of servers.splice(0)) await server.dispose();
});

describe('a log in NATS is opened', () => {
  it('with streams of the options, which refuse to lose what was acknowledged', async () => {
    const server = await start();
    const log = await open(server, { partitions: 2, retentionMs: 3_600_000, maxPartitionBytes: BYTES / 2 });
    expect([log.partitions, log.acknowledgedCopies, log.detectsCuts, log.connected]).toEqual([
      2,
      1,
      'readers',
      true,
    ]);
    expect(log.weaknesses).toHaveLength(1);
    await manage([server], async (jsm) => {
      const { config } = await jsm.streams.info('realtime-log-1');
      expect(config).toMatchObject({
        subjects: ['realtime.log.1'],
        max_age: 3_600_000_000_000,
        max_bytes: BYTES / 2,
        num_replicas: 1,
        storage: 'file',
        discard: 'old',
        deny_delete: true,
        deny_purge: true,
      });
      await expect(jsm.streams.purge('realtime-log-1')).rejects.toThrow();
    });
  });

  it('again with the same streams, by several nodes at once', async () => {
    const server = await start();
    const all = await Promise.all([open(server), open(server), open(server)]);
    await all[0]?.append(0, bytesOf('a'), all[0].session);
    const reader = await LogReader.fromFirst(all[2] ?? never());
    await until('the record', () => reader.texts.length === 1);
  });

  it('within what the server takes in one message', async () => {
    const server = await start({ config: 'max_payload: 40000' });
    const log = await open(server, { maxRecordBytes: 65_536 });
    expect(log.maxRecordBytes).toBe(40_000 - 1_024);
    await log.append(0, new Uint8Array(log.maxRecordBytes), log.session);
  });

  it('with a user and a password, and with a token', async () => {
    const withUser = await start({ config: 'authorization { user: u, password: secret-p }' });
    await open(withUser, { user: 'u', password: 'secret-p' });
    await expectRefused(withUser, { user: 'u', password: 'secret-q' }, '`user` and `password`', 'secret-q');
    const withToken = await start({ config: 'authorization { token: secret-t }' });
    await open(withToken, { token: 'secret-t' });
    await expectRefused(withToken, { token: 'secret-s' }, '`token`', 'secret-s');
  });

  it('over TLS, to a server whose certificate is trusted', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'rt-tls-'));
    const [certFile, keyFile] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
    const { cert, key } = makeCertificate('localhost');
    writeFileSync(certFile, cert);
    writeFileSync(keyFile, key);
    const server = await start({ config: `tls { cert_file: "${certFile}", key_file: "${keyFile}" }` });
    rmSync(folder, { recursive: true });
    const servers = `localhost:${server.port}`;
    const log = await open(server, { servers, tls: { ca: cert } });
    await log.append(0, bytesOf('a'), log.session);
    await expectRefused(server, { servers, tls: {} }, '`tls`');
  });
});

describe('a log in NATS says what to change', () => {
  it('when no server is there', async () => {
    const server = await start();
    await server.kill();
    await expectRefused(server, {}, '`servers`');
  });

  it('when one server is to keep three copies', async () => {
    const server = await start();
    await expectRefused(server, { replicas: 3 }, 'set `replicas` to 1');
  });

  it('when a stream is missing and may not be made', async () => {
    const server = await start();
    await expectRefused(server, { createStreams: false }, 'the stream realtime-log-0 is missing');
    await open(server);
    await open(server, { createStreams: false });
  });

  it('when there are more partitions than it was told', async () => {
    const server = await start();
    await open(server, { partitions: 3 });
    await expectRefused(server, { partitions: 2 }, '`partitions`');
    await open(server, { partitions: 3 });
  });

  it('when a stream has other settings, all at once', async () => {
    const server = await start();
    await manage([server], async (jsm) => {
      await jsm.streams.add({
        name: 'realtime-log-0',
        subjects: ['realtime.log.0'],
        storage: 'memory',
        discard: 'new',
        max_age: 1_000_000_000,
        max_msgs: 10,
      });
    });
    const error = await expectRefused(server, {}, 'nats stream edit');
    for (const field of ['storage', 'discard', 'max_age', 'max_msgs']) expect(error.message).toContain(field);
    expect(error.message).not.toContain('retention of');
  });

  it('when JetStream is not there', async () => {
    const server = await start({ config: 'accounts { A: { users: [{ user: u, password: p }] } }' });
    await expectRefused(server, { user: 'u', password: 'p' }, 'enable it for the account');
  });
});

describe('a log in NATS', () => {
  it('sends nothing of an earlier connection once it has another one', async () => {
    const server = await start();
    const log = await open(server);
    const reader = await LogReader.fromFirst(log);
    await log.append(0, bytesOf('before'), log.session);
    const before = log.session;
    await server.kill();
    await until('the connection to be lost', () => !log.connected);
    const refused = log.append(0, bytesOf('while away'), before);
    await expect(refused).rejects.toMatchObject({ outcome: 'refused' });
    await server.launch();
    await until('the connection', () => log.connected);
    expect(log.session).toBe(before + 1);
    await until('an append', () =>
      log.append(0, bytesOf('after'), log.session).then(
        () => true,
        () => false,
      ),
    );
    await until('the record', () => reader.texts.includes('after'));
    expect(reader.texts).toEqual(['before', 'after']);
  });

  it('reads on when its consumer is gone', async () => {
    const server = await start();
    const log = await open(server);
    const reader = await LogReader.fromFirst(log);
    await log.append(0, bytesOf('a'), log.session);
    await until('the first record', () => reader.texts.length === 1);
    await manage([server], async (jsm) => {
      for await (const { name } of jsm.consumers.list('realtime-log-0'))
        await jsm.consumers.delete('realtime-log-0', name);
    });
    await log.append(0, bytesOf('b'), log.session);
    await until('the second record', () => reader.texts.length === 2);
    expect(reader.texts).toEqual(['a', 'b']);
  });

  it('passes over what somebody else took out of a stream', async () => {
    const server = await start();
    await manage([server], async (jsm) => {
      for (const partition of [0, 1])
        await jsm.streams.add({
          name: `realtime-log-${partition}`,
          subjects: [`realtime.log.${partition}`],
          max_bytes: BYTES,
        });
    });
    const log = await open(server);
    for (const text of ['a', 'b', 'c', 'd']) await log.append(0, bytesOf(text), log.session);
    await manage([server], async (jsm) => void (await jsm.streams.deleteMessage('realtime-log-0', 3)));
    const reader = await LogReader.fromFirst(log);
    await until('the rest', () => reader.records.length === 3);
    expect(reader.texts).toEqual(['a', 'b', 'd']);
    expect(reader.ends).toEqual([]);
  });

  it('shows the state of the client of NATS, which it relies on to hold nothing back', async () => {
    const server = await start();
    const nc = await connect({ servers: server.address });
    expect((nc as unknown as { protocol: { connected: boolean } }).protocol.connected).toBe(true);
    await nc.close();
  });
});

async function start(options: NatsProcessOptions = {}): Promise<NatsProcess> {
  const server = await NatsProcess.start(options);
  servers.push(server);
  return server;
}

async function open(server: NatsProcess, options: Partial<NatsLogOptions> = {}): Promise<OrderedLog> {
  const log = await openNatsLog(
    {
      servers: server.address,
      partitions: 2,
      replicas: 1,
      maxPartitionBytes: BYTES,
      maxCheckpointBytes: BYTES,
      connectTimeoutMs: stretched(2_000),
      requestTimeoutMs: stretched(2_000),
      ...options,
    },
    { clock: systemClock, entropy: systemEntropy },
  );
  logs.push(log);
  return log;
}

async function expectRefused(
  server: NatsProcess,
  options: Partial<NatsLogOptions>,
  remedy: string,
  secret = 'no secret at all',
): Promise<Error> {
  const error: unknown = await open(server, options).catch((failure: unknown) => failure);
  expect(error).toBeInstanceOf(LogSetupError);
  expect((error as Error).message).toContain(remedy);
  expect((error as Error).message).not.toContain(secret);
  return error as Error;
}

function never(): never {
  throw new Error('not there');
}
