import type { ConnectionOptions } from 'node:tls';
import { omitUndefined } from '../../protocol/omit-undefined.js';
import { optionErrorOf, type OptionError } from '../../protocol/validation/option-error.js';
import { assertLogSettings, LOG_DEFAULTS } from '../replicated/log-options.js';

/** How a client proves to Kafka who it is. Nothing of it is logged. */
export interface KafkaSasl {
  /** As a listener of the brokers has it; PLAIN shows the password to whoever reads the connection, so use it with `tls`. */
  readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512' | 'OAUTHBEARER';
  /** For PLAIN and SCRAM. */
  readonly username?: string | undefined;
  /** For PLAIN and SCRAM; a function is asked for each connection. */
  readonly password?: string | (() => string | Promise<string>) | undefined;
  /** For OAUTHBEARER; a function is asked for each connection, and again before the session ends. */
  readonly token?: string | (() => string | Promise<string>) | undefined;
}

/** What a log in Kafka is opened with. */
export interface KafkaLogOptions {
  /** Addresses `host:port` of some brokers; the others are found through them. Kafka 3.1 or newer. */
  readonly brokers: string | readonly string[];
  /**
   * Name of the topic, one per environment; the topics `<topic>.checkpoints` and `<topic>.signals` belong to it. Default `realtime`.
   */
  readonly topic?: string;
  /** Partitions into which the channels are divided. Fixed when a topic is first used. Default 8. */
  readonly partitions?: number;
  /** Brokers that keep each record. Default 3; a single broker can only do 1. */
  readonly replicas?: number;
  /** How many of them must have a record before it is acknowledged (`min.insync.replicas`). Default 2, or 1 where `replicas` is 1 or 2. */
  readonly minInsyncReplicas?: number;
  /** How long records and checkpoints are kept, in milliseconds: at least three intervals of checkpoints. Default 24 hours. */
  readonly retentionMs?: number;
  /** Largest record in bytes. Default 512 KiB. */
  readonly maxRecordBytes?: number;
  /** Whether missing topics are made. `false`: only those are used that are there. Default `true`. */
  readonly createTopics?: boolean;
  /** Name of this client at the brokers, for their quotas and logs. Default `nestjs-realtime`. */
  readonly clientId?: string | undefined;

  /** Default: none. */
  readonly tls?: ConnectionOptions | undefined;
  /** Default: none. */
  readonly sasl?: KafkaSasl | undefined;

  /** How long a connect may take, in milliseconds. Default 5 000. */
  readonly connectTimeoutMs?: number;
  /** How long a request waits for its answer, in milliseconds; after that the outcome of an append is unknown. Default 5 000. */
  readonly requestTimeoutMs?: number;
}

/** Address of a broker. */
export interface BrokerAddress {
  readonly host: string;
  readonly port: number;
}

/** {@link KafkaLogOptions} with everything filled in. */
export interface KafkaLogSettings extends Required<Omit<KafkaLogOptions, 'brokers' | 'tls' | 'sasl'>> {
  readonly brokers: readonly BrokerAddress[];
  readonly tls: ConnectionOptions | undefined;
  readonly sasl: KafkaSasl | undefined;
}

const DEFAULT_PORT = 9_092;
/** Kafka's limit for names of topics, less what is appended to this one. */
const MAX_TOPIC = 249 - '.checkpoints'.length;

/**
 * @param caller the function that the application called, for errors.
 * @throws RangeError that names the option
 */
export function kafkaSettings(options: KafkaLogOptions, caller = 'kafkaBroker'): KafkaLogSettings {
  const optionError = optionErrorOf(caller);
  const { brokers, tls, sasl, ...rest } = options;
  const replicas = rest.replicas ?? 3;
  const settings: KafkaLogSettings = {
    ...LOG_DEFAULTS,
    topic: 'realtime',
    replicas,
    minInsyncReplicas: replicas >= 3 ? 2 : 1,
    createTopics: true,
    clientId: 'nestjs-realtime',
    ...omitUndefined(rest),
    brokers: (typeof brokers === 'string' ? [brokers] : brokers).map((text) =>
      readAddress(text, optionError),
    ),
    tls,
    sasl,
  };
  assertSettings(settings, optionError);
  return settings;
}

function readAddress(text: string, optionError: OptionError): BrokerAddress {
  const [, host = '', port] = /^\[?([^\s\]/]+?)\]?(?::(\d{1,5}))?$/.exec(text) ?? [];
  const number = port === undefined ? DEFAULT_PORT : Number(port);
  if (host === '' || number < 1 || number > 65_535)
    throw optionError('brokers', `has "${text}", which is no address \`host:port\``);
  return { host, port: number };
}

function assertSettings(settings: KafkaLogSettings, optionError: OptionError): void {
  if (settings.brokers.length === 0) throw optionError('brokers', 'names no broker');
  if (!/^[\w.-]+$/.test(settings.topic) || settings.topic.length > MAX_TOPIC)
    throw optionError('topic', `must have 1 to ${MAX_TOPIC} letters, digits, ".", "_" and "-"`);
  assertLogSettings(settings, ['replicas', 'minInsyncReplicas'], optionError);
  if (settings.minInsyncReplicas > settings.replicas)
    throw optionError('minInsyncReplicas', 'must be at most `replicas`');
  const { sasl } = settings;
  if (sasl === undefined) return;
  if (sasl.mechanism === 'OAUTHBEARER') {
    if (sasl.token === undefined) throw optionError('sasl.token', 'is missing: OAUTHBEARER needs it');
  } else if (sasl.username === undefined || sasl.password === undefined)
    throw optionError('sasl', `needs \`username\` and \`password\` for ${sasl.mechanism}`);
}
