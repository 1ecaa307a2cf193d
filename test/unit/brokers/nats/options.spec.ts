import { describe, expect, it } from '@jest/globals';
import { loadKafka } from '../../../../lib/brokers/kafka/driver.js';
import { loadNats } from '../../../../lib/brokers/nats/driver.js';
import { appendError, unavailable } from '../../../../lib/brokers/nats/errors.js';
import { natsSettings, type NatsLogOptions } from '../../../../lib/brokers/nats/options.js';
import { LogSetupError, LogUnavailableError } from '../../../../lib/brokers/replicated/ordered-log.js';

describe('the options of a log in NATS', () => {
  it('have the defaults that are documented', () => {
    expect(natsSettings({ servers: 'nats:4222', user: 'u', password: 'p' })).toEqual({
      servers: ['nats:4222'],
      name: 'realtime',
      partitions: 8,
      replicas: 3,
      retentionMs: 86_400_000,
      maxPartitionBytes: 1_073_741_824,
      maxCheckpointBytes: 2_147_483_648,
      maxRecordBytes: 524_288,
      createStreams: true,
      connectTimeoutMs: 5_000,
      requestTimeoutMs: 5_000,
      auth: { user: 'u', password: 'p' },
      tls: undefined,
      domain: undefined,
    });
  });

  it.each<[string, Partial<NatsLogOptions>]>([
    ['servers', { servers: [] }],
    ['name', { name: '' }],
    ['name', { name: 'a.b' }],
    ['name', { name: 'x'.repeat(65) }],
    ['replicas', { replicas: 2 as 1 }],
    ['partitions', { partitions: 257 }],
    ['partitions', { partitions: 0 }],
    ['retentionMs', { retentionMs: 0.5 }],
    ['maxPartitionBytes', { maxPartitionBytes: 0 }],
    ['maxCheckpointBytes', { maxCheckpointBytes: -1 }],
    ['maxRecordBytes', { maxRecordBytes: 16_383 }],
    ['connectTimeoutMs', { connectTimeoutMs: Number.NaN }],
    ['requestTimeoutMs', { requestTimeoutMs: 0 }],
  ])('are refused by name: %s %#', (path, options) => {
    expect(() => natsSettings({ servers: 'nats:4222', ...options })).toThrow(`natsBroker: \`${path}\` `);
  });

  it('may be at their bounds', () => {
    const options = {
      servers: 'n',
      partitions: 256,
      maxRecordBytes: 16_384,
      name: 'x'.repeat(64),
      replicas: 5,
    } as const;
    expect(() => natsSettings(options)).not.toThrow();
  });
});

describe('errors of the client of NATS', () => {
  const named = (name: string, fields: object = {}): Error =>
    Object.assign(new Error('what the server said\nmore of it'), { name, ...fields });
  const api = (code: number): Error =>
    named('JetStreamApiError', { code, apiError: () => ({ err_code: code }) });

  it.each<[string, Error, string, boolean]>([
    ['no answer in time', named('TimeoutError'), 'unknown', true],
    ['a connection that broke', named('RequestError'), 'unknown', true],
    ['nobody who takes it', named('JetStreamNotEnabled'), 'refused', true],
    ['a permission', named('PermissionViolationError'), 'refused', false],
    ['too many bytes', named('InvalidArgumentError'), 'refused', false],
    ['no connection', new LogUnavailableError('none'), 'refused', true],
    ['a stream that is full', api(10_077), 'refused', true],
    ['a record above the limit of the stream', api(10_054), 'refused', false],
    ['another stream', api(10_060), 'refused', false],
  ])('for an append: %s', (_, error, outcome, retryable) => {
    const found = appendError(error);
    expect(found).toMatchObject({ outcome, retryable });
    expect(found.message).not.toContain('more of it');
  });

  it('for a question: always temporary, and handed on when it is known already', () => {
    const known = new LogUnavailableError('known');
    expect(unavailable(known)).toBe(known);
    expect(unavailable(named('TimeoutError'))).toBeInstanceOf(LogUnavailableError);
  });
});

describe('the packages of the drivers', () => {
  const missing = (name: string): Promise<never> =>
    Promise.reject(
      Object.assign(new Error(`Cannot find package '${name}'`), { code: 'ERR_MODULE_NOT_FOUND' }),
    );

  it('are named with the command that installs them when they are missing', async () => {
    const nats = loadNats(() => missing('@nats-io/jetstream'));
    await expect(nats).rejects.toThrow(LogSetupError);
    await expect(nats).rejects.toThrow('npm i @nats-io/transport-node @nats-io/jetstream');
    const kafka = loadKafka(() => missing('@platformatic/kafka'));
    await expect(kafka).rejects.toThrow(LogSetupError);
    await expect(kafka).rejects.toThrow('npm i @platformatic/kafka@1');
  });

  it('are not said to be missing when they cannot be loaded', async () => {
    const broken = (): Promise<never> => Promise.reject(new Error('syntax'));
    await expect(loadNats(broken)).rejects.toThrow('cannot be loaded');
    await expect(loadKafka(broken)).rejects.toThrow('cannot be loaded');
  });

  it('are those that are installed', async () => {
    expect(typeof (await loadNats()).connect).toBe('function');
    expect(typeof (await loadKafka()).Connection).toBe('function');
  });
});
