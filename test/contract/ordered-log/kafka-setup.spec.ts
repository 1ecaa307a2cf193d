import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import * as driver from '@platformatic/kafka';
import { openKafkaLog } from '../../../lib/brokers/kafka/log.js';
import type { KafkaLogOptions, KafkaSasl } from '../../../lib/brokers/kafka/options.js';
import { LogSetupError, type OrderedLog } from '../../../lib/brokers/replicated/ordered-log.js';
import { systemClock } from '../../../lib/core/ports/clock.js';
import { systemEntropy } from '../../../lib/core/ports/entropy.js';
import { makeCertificate } from '../../support/certificate.js';
import { KafkaProcess } from '../../support/kafka/process.js';
import { patience, stretched } from '../../support/patience.js';
import { until } from '../../support/until.js';
import { bytesOf, LogReader } from './log-reader.js';

const START_MS = patience(120_000);
const KIT_MS = stretched(10_000);
const LOGIN = 'org.apache.kafka.common.security.plain.PlainLoginModule';
const logs: OrderedLog[] = [];
const warnings: string[] = [];

describe('a log in Kafka is opened', () => {
  let server: KafkaProcess;
  let names = 0;
  beforeAll(async () => void (server = await KafkaProcess.start()), START_MS);
  afterAll(() => server?.dispose());
  afterEach(closeAll);
  const fresh = (): string => `setup${++names}`;

  it('with topics of the options', async () => {
    const topic = fresh();
    const log = await open(server, { topic, partitions: 3, retentionMs: 3_600_000 });
    expect([log.partitions, log.acknowledgedCopies, log.detectsCuts, log.connected]).toEqual([
      3,
      1,
      'log',
      true,
    ]);
    expect(log.weaknesses).toHaveLength(1);
    expect(await configOf(server, topic)).toMatchObject({
      'cleanup.policy': 'delete',
      'retention.ms': '3600000',
      'message.timestamp.type': 'LogAppendTime',
      'unclean.leader.election.enable': 'false',
    });
    expect(await configOf(server, `${topic}.signals`)).toMatchObject({ 'retention.ms': '60000' });
  });

  it('again with the same topics, by several nodes at once', async () => {
    const topic = fresh();
    const all = await Promise.all([
      open(server, { topic }),
      open(server, { topic }),
      open(server, { topic }),
    ]);
    await all[0]?.append(0, bytesOf('a'), all[0].session);
    const reader = await LogReader.fromFirst(all[2] ?? never());
    await until('the record', () => reader.texts.length === 1);
  });

  it('with partitions that are not used, and a warning', async () => {
    const topic = fresh();
    await open(server, { topic, partitions: 3 });
    const log = await open(server, { topic, partitions: 2 });
    expect(log.partitions).toBe(2);
    expect(warnings.some((warning) => warning.includes('has 3 partitions'))).toBe(true);
  });

  it('never where a topic is missing and may not be made, and says how to make it', async () => {
    const topic = fresh();
    const error = await refused(server, { topic, createTopics: false });
    expect(error.message).toContain(`kafka-topics.sh --create --topic ${topic} --partitions 2`);
  });

  it('never with fewer brokers than are to keep a record', async () => {
    expect((await refused(server, { topic: fresh(), replicas: 3 })).message).toContain('set `replicas`');
  });

  it('never with fewer partitions than it was told', async () => {
    const topic = fresh();
    await open(server, { topic, partitions: 2 });
    expect((await refused(server, { topic, partitions: 3 })).message).toContain('`partitions`');
  });

  it('never with a topic of other settings, and names all of them', async () => {
    const topic = fresh();
    await createTopic(server, topic, {
      'cleanup.policy': 'compact',
      'retention.ms': '1000',
      'max.message.bytes': '20000',
      'compression.type': 'gzip',
    });
    const { message } = await refused(server, { topic });
    for (const key of [
      'cleanup.policy',
      'retention.ms',
      'max.message.bytes',
      'compression.type',
      'message.timestamp.type',
    ])
      expect(message).toContain(`${key} of the topic ${topic}`);
    expect(message).toContain('kafka-configs.sh --alter');
    expect(message).not.toContain('min.insync.replicas of');
  });

  it(
    'with terms that ascend at each start of the broker, without an end of its readers',
    async () => {
      const log = await open(server, { topic: fresh() });
      const reader = await LogReader.fromFirst(log);
      await log.append(0, bytesOf('a'), log.session);
      await server.stop();
      await server.launch();
      await until('an append', () =>
        log.append(0, bytesOf('b'), log.session).then(
          () => true,
          () => false,
        ),
      );
      await until('the record', () => reader.texts.includes('b'));
      const terms = reader.records.map(({ term }) => term);
      expect(terms.at(-1)).toBeGreaterThan(terms[0] ?? 0);
      expect(reader.ends).toEqual([]);
    },
    START_MS,
  );
});

describe('a log in Kafka over TLS, with a user', () => {
  let server: KafkaProcess;
  let folder: string;
  const { cert, key } = makeCertificate('localhost');
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'rt-tls-'));
    const file = join(folder, 'both.pem');
    writeFileSync(file, `${key}${cert}`);
    server = await KafkaProcess.start({
      protocol: 'SASL_SSL',
      properties: {
        'ssl.keystore.type': 'PEM',
        'ssl.keystore.location': file,
        'ssl.truststore.type': 'PEM',
        'ssl.truststore.certificates': cert.trim().replaceAll('\n', '\\n'),
        'sasl.enabled.mechanisms': 'PLAIN',
        'listener.name.clients.plain.sasl.jaas.config': `${LOGIN} required user_app="secret-p";`,
        'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
        'super.users': 'User:ANONYMOUS;User:app',
        'ssl.endpoint.identification.algorithm': '',
      },
    });
  }, START_MS);
  afterAll(async () => {
    await server?.dispose();
    rmSync(folder, { recursive: true, force: true });
  });
  afterEach(closeAll);
  // The certificate is for a name; the broker says an address.
  const tls = { ca: cert, checkServerIdentity: () => undefined };
  const sasl: KafkaSasl = { mechanism: 'PLAIN', username: 'app', password: () => 'secret-p' };

  it('appends and reads', async () => {
    const log = await open(server, { tls, sasl });
    const reader = await LogReader.fromFirst(log);
    await log.append(0, bytesOf('a'), log.session);
    await until('the record', () => reader.texts.length === 1);
  });

  it('is not opened with another password, and does not tell it', async () => {
    const { message } = await refused(server, { tls, sasl: { ...sasl, password: 'secret-q' } });
    expect(message).toContain('`sasl`');
    expect(message).not.toContain('secret-q');
  });

  it('is not opened where the certificate is not trusted', async () => {
    expect((await refused(server, { tls: {}, sasl })).message).toContain('`tls`');
  });
});

it('a log in Kafka says where it looked when no broker is there', async () => {
  const port = await KafkaProcess.anotherPort();
  const error: unknown = await openKafkaLog(
    { brokers: `127.0.0.1:${port}` },
    { clock: systemClock, entropy: systemEntropy },
  ).catch((failure: unknown) => failure);
  expect(error).toBeInstanceOf(LogSetupError);
  expect((error as Error).message).toContain(`127.0.0.1:${port}`);
  expect((error as Error).message).toContain('`brokers`');
});

async function open(server: KafkaProcess, options: Partial<KafkaLogOptions>): Promise<OrderedLog> {
  const log = await openKafkaLog(
    {
      brokers: server.address,
      partitions: 2,
      replicas: 1,
      connectTimeoutMs: KIT_MS,
      requestTimeoutMs: KIT_MS,
      ...options,
    },
    { clock: systemClock, entropy: systemEntropy, onWarning: (message) => void warnings.push(message) },
  );
  logs.push(log);
  return log;
}

async function refused(server: KafkaProcess, options: Partial<KafkaLogOptions>): Promise<Error> {
  const error: unknown = await open(server, options).catch((failure: unknown) => failure);
  expect(error).toBeInstanceOf(LogSetupError);
  return error as Error;
}

async function closeAll(): Promise<void> {
  for (const log of logs.splice(0)) await log.close();
}

async function createTopic(
  server: KafkaProcess,
  name: string,
  configs: Record<string, string>,
): Promise<void> {
  await manage(server, (connection) =>
    driver.createTopicsV7.api.async(
      connection,
      [
        {
          name,
          numPartitions: 2,
          replicationFactor: 1,
          assignments: [],
          configs: Object.entries(configs).map(([key, value]) => ({ name: key, value })),
        },
      ],
      KIT_MS,
      false,
    ),
  );
}

async function configOf(server: KafkaProcess, name: string): Promise<Record<string, string | null>> {
  const { results } = await manage(server, (connection) =>
    driver.describeConfigsV4.api.async(connection, [{ resourceType: 2, resourceName: name }], false, false),
  );
  return Object.fromEntries((results[0]?.configs ?? []).map(({ name: key, value }) => [key, value ?? null]));
}

async function manage<T>(
  server: KafkaProcess,
  work: (connection: driver.Connection) => Promise<T>,
): Promise<T> {
  const connection = new driver.Connection('kit', { connectTimeout: KIT_MS, requestTimeout: KIT_MS });
  connection.on('error', () => undefined);
  await connection.connect('127.0.0.1', server.port);
  try {
    return await work(connection);
  } finally {
    await connection.close();
  }
}

function never(): never {
  throw new Error('not there');
}
