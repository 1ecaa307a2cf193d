import { omitUndefined } from '../../protocol/omit-undefined.js';
import { optionErrorOf, type OptionError } from '../../protocol/validation/option-error.js';
import { assertLogSettings, LOG_DEFAULTS } from '../replicated/log-options.js';

/** TLS towards NATS. Texts are PEM. */
export interface NatsTls {
  /** Certificates of authorities that the server's may be of. Default: those of Node. */
  readonly ca?: string;
  /** Certificate of this client. Default: none. */
  readonly cert?: string;
  /** Private key of that certificate. Never logged. Default: none. */
  readonly key?: string;
  /** Whether the server's certificate must be valid. Default `true`. */
  readonly rejectUnauthorized?: boolean;
  /** Whether TLS begins before the server's first line, as the server's `handshake_first` says. Default `false`. */
  readonly handshakeFirst?: boolean;
}

/** What a log in NATS JetStream is opened with. */
export interface NatsLogOptions {
  /** Addresses `host:port` of some servers; the others of a cluster are found through them. */
  readonly servers: string | readonly string[];
  /**
   * First part of the names of all streams and subjects, one per environment: letters, digits, `_` and `-`. The streams are
   * `<name>-log-<partition>` and `<name>-checkpoints`. Default `realtime`.
   */
  readonly name?: string;
  /** Streams into which the channels are divided. Fixed when a name is first used. Default 8. */
  readonly partitions?: number;
  /** Servers that keep each record: 1, 3 or 5. Default 3; a server without a cluster can only do 1. */
  readonly replicas?: 1 | 3 | 5;
  /** How long records and checkpoints are kept, in milliseconds: at least three intervals of checkpoints. Default 24 hours. */
  readonly retentionMs?: number;
  /** Most bytes of each partition; the oldest records are dropped. Default 1 GiB. */
  readonly maxPartitionBytes?: number;
  /** Most bytes of all checkpoints of all partitions. Default 2 GiB. */
  readonly maxCheckpointBytes?: number;
  /** Largest record in bytes; the server's `max_payload` limits it too. Default 512 KiB. */
  readonly maxRecordBytes?: number;
  /** Whether missing streams are made. `false`: the account may only use those that are there. Default `true`. */
  readonly createStreams?: boolean;

  /** Default: none. */
  readonly user?: string | undefined;
  /** Default: none. Never logged. */
  readonly password?: string | undefined;
  /** Default: none. Never logged. */
  readonly token?: string | undefined;
  /** Text of a credentials file (`.creds`: JWT and seed), or what reads it for each connect. Default: none. Never logged. */
  readonly credentials?: string | (() => string) | undefined;
  /** Default: none, or what the server demands. */
  readonly tls?: NatsTls | undefined;
  /** JetStream domain, for leaf nodes. Default: none. */
  readonly domain?: string | undefined;

  /** How long a connect may take, in milliseconds. Default 5 000. */
  readonly connectTimeoutMs?: number;
  /** How long a request waits for its answer, in milliseconds; after that the outcome of an append is unknown. Default 5 000. */
  readonly requestTimeoutMs?: number;
}

/** {@link NatsLogOptions} with everything filled in. */
export interface NatsLogSettings extends Required<
  Omit<NatsLogOptions, 'servers' | 'user' | 'password' | 'token' | 'credentials' | 'tls' | 'domain'>
> {
  readonly servers: readonly string[];
  readonly auth: Pick<NatsLogOptions, 'user' | 'password' | 'token' | 'credentials'>;
  readonly tls: NatsTls | undefined;
  readonly domain: string | undefined;
}

const GIB = 1_073_741_824;

/**
 * @param caller the function that the application called, for errors.
 * @throws RangeError that names the option
 */
export function natsSettings(options: NatsLogOptions, caller = 'natsBroker'): NatsLogSettings {
  const optionError = optionErrorOf(caller);
  const { user, password, token, credentials, tls, domain, servers, ...rest } = options;
  const settings: NatsLogSettings = {
    ...LOG_DEFAULTS,
    name: 'realtime',
    replicas: 3,
    maxPartitionBytes: GIB,
    maxCheckpointBytes: 2 * GIB,
    createStreams: true,
    ...omitUndefined(rest),
    servers: typeof servers === 'string' ? [servers] : [...servers],
    auth: omitUndefined({ user, password, token, credentials }),
    tls,
    domain,
  };
  assertSettings(settings, optionError);
  return settings;
}

function assertSettings(settings: NatsLogSettings, optionError: OptionError): void {
  if (settings.servers.length === 0) throw optionError('servers', 'names no server');
  if (!/^[\w-]{1,64}$/.test(settings.name))
    throw optionError('name', 'must have 1 to 64 letters, digits, "_" and "-"');
  if (![1, 3, 5].includes(settings.replicas)) throw optionError('replicas', 'must be 1, 3 or 5');
  assertLogSettings(settings, ['maxPartitionBytes', 'maxCheckpointBytes'], optionError);
}
