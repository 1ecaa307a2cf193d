import type { StreamInfo } from '@nats-io/jetstream';
import {
  assertBeginning,
  assertOptions,
  consumeSettings,
  consumerOf,
  delay,
  idPrefix,
  lookMs,
  type ConsumeOptions,
  type ConsumeSettings,
  type LaneWork,
  type OwnOptions,
  type RecordSource,
} from '../../../consumers/index.js';
import type { ThrottledLog } from '../../../core/async/throttled-log.js';
import type { ConsumerSite, RealtimeConsumer } from '../../../core/ports/consumers.js';
import { optionErrorOf } from '../../../protocol/validation/option-error.js';
import { loadNats } from '../driver.js';
import { apiCode, messageOf, NO_STREAM, STREAM_NAME_IN_USE } from '../errors.js';
import { NatsLink } from '../link.js';
import { natsSettings, type NatsLogOptions, type NatsLogSettings } from '../options.js';
import { JetStreamLane } from './jetstream-lane.js';
import { StreamPosition } from './position.js';
import type { JetStreamRecord } from './record.js';

/** Where the stream is: as of `natsBroker()`, whose meanings and defaults these have. */
type NatsConnectionOptions = Pick<
  NatsLogOptions,
  | 'servers'
  | 'user'
  | 'password'
  | 'token'
  | 'credentials'
  | 'tls'
  | 'domain'
  | 'connectTimeoutMs'
  | 'requestTimeoutMs'
>;

/** Options of {@link fromJetStream}. */
export interface FromJetStreamOptions extends NatsConnectionOptions, ConsumeOptions<JetStreamRecord> {
  /** Name of the stream, whose retention is by limits. It must exist. One node at a time reads it, so that its order is kept. */
  readonly stream: string;
  /** Subjects of it that are read, with wildcards; several need NATS 2.10. Default: all. */
  readonly subjects?: string | readonly string[] | undefined;
  /** Name of the position, of this application alone: letters, digits, `_` and `-`. All of its nodes share it. */
  readonly durable: string;
  /** Where a position that is new begins: at the first record of the stream, or behind the last. Default `'first'`. */
  readonly from?: 'first' | 'next' | undefined;
  /** Name of the stream that keeps positions: letters, digits, `_` and `-`. It is made where there is none. Default `realtime-consumers`. */
  readonly positions?: string | undefined;
}

const OWN: OwnOptions<FromJetStreamOptions> = {
  servers: { kind: 'texts', required: 'Give the addresses `host:port` of one or more servers' },
  stream: { kind: 'text', required: 'Name the stream that is read' },
  durable: { kind: 'text', required: 'Name the position of this application in the stream' },
  subjects: { kind: 'texts' },
  from: {},
  positions: { kind: 'text' },
  user: {},
  password: {},
  token: {},
  credentials: {},
  tls: {},
  domain: {},
  connectTimeoutMs: {},
  requestTimeoutMs: {},
};

/**
 * Makes events of the messages of a JetStream stream, each once and in the order of the stream, for the option `consumers` of the module.
 * How far it is stands in a stream of positions, and is written when the events up to there are acknowledged. Needs the packages
 * `@nats-io/transport-node` and `@nats-io/jetstream`.
 *
 * @example
 * RealtimeModule.forRoot({
 *   consumers: [
 *     fromJetStream({
 *       servers: 'nats:4222',
 *       stream: 'ORDERS',
 *       durable: 'realtime',
 *       to: ({ subject, data }) => ({ channel: subject, event: 'order.changed', payload: JSON.parse(`${Buffer.from(data)}`) }),
 *     }),
 *   ],
 * });
 * @throws RangeError for an option that cannot be or is missing, and for a name that is none; it names the option and the remedy.
 * @publicApi
 */
export function fromJetStream(options: FromJetStreamOptions): RealtimeConsumer {
  const optionError = optionErrorOf('fromJetStream');
  assertOptions(options, 'fromJetStream', OWN);
  const { servers, user, password, token, credentials, tls, domain, connectTimeoutMs, requestTimeoutMs } =
    options;
  const { stream, subjects, durable, from = 'first', positions = 'realtime-consumers' } = options;
  if (!/^[^\s.*>/\\]+$/.test(stream)) throw optionError('stream', 'is no name of a stream');
  for (const [option, name] of Object.entries({ durable, positions }))
    if (!/^[\w-]{1,64}$/.test(name))
      throw optionError(option, 'must have 1 to 64 letters, digits, "_" and "-"');
  assertBeginning(from, optionError);
  const nats = natsSettings(
    {
      ...{ servers, user, password, token, credentials, tls, domain, name: positions },
      ...(connectTimeoutMs !== undefined && { connectTimeoutMs }),
      ...(requestTimeoutMs !== undefined && { requestTimeoutMs }),
    },
    'fromJetStream',
  );
  const settings = consumeSettings(options, 'fromJetStream', `jetstream ${stream} ${durable}`);
  const list = typeof subjects === 'string' ? [subjects] : subjects;
  const wanted = { stream, subjects: list, durable, from, positions };
  return consumerOf(
    settings,
    (site, journal) => new JetStream(nats, wanted, settings, site, journal),
    // Users may be of several accounts, each with streams of its own.
    nats.servers.map((server) => ({
      server: JSON.stringify(['nats', server, domain, nats.auth]),
      what: `the stream ${stream} with the durable ${durable}`,
    })),
  );
}

interface Wanted {
  readonly stream: string;
  readonly subjects: readonly string[] | undefined;
  readonly durable: string;
  readonly from: 'first' | 'next';
  readonly positions: string;
}

/** Reads a stream for as long as no other node does. */
class JetStream implements RecordSource<JetStreamRecord> {
  private lane: JetStreamLane | undefined;
  /** Whether this node knows that another one reads. */
  private isOther = false;
  /** In whose name the stream is read: the next session of this node continues that of the one before. */
  private readonly owner: string;

  constructor(
    private readonly nats: NatsLogSettings,
    private readonly wanted: Wanted,
    private readonly settings: ConsumeSettings<JetStreamRecord>,
    private readonly site: ConsumerSite,
    private readonly journal: ThrottledLog,
  ) {
    this.owner = site.entropy.token();
  }

  lag(): number | undefined {
    return this.isOther ? 0 : this.lane?.lag;
  }

  async run(work: LaneWork<JetStreamRecord>, signal: AbortSignal): Promise<void> {
    const { journal, nats, settings, site, wanted } = this;
    const { clock, entropy } = site;
    const onWarning = (message: string): void =>
      journal.warn('nats', () => `Consumer ${settings.name}: ${message}`);
    const driver = await loadNats(undefined, 'fromJetStream');
    const link = await NatsLink.open(driver, nats, { clock, entropy, onWarning });
    try {
      const { config } = await this.infoOf(link);
      await makePositions(link, wanted.positions, config.num_replicas);
      const where = {
        stream: wanted.positions,
        subject: `${wanted.positions}.${wanted.stream}.${wanted.durable}`,
      };
      const position = new StreamPosition(link, where, this.owner, clock, settings.takeOverMs);
      while (!signal.aborted) {
        const isFree = await position.look();
        work.onReady();
        this.isOther = !isFree;
        if (isFree) return await this.read(link, position, work, signal);
        await delay(clock, lookMs(settings.takeOverMs, entropy), signal);
      }
    } finally {
      this.isOther = false;
      await link.close();
    }
  }

  /** Takes the place of the reader, and reads until that ends. */
  private async read(
    link: NatsLink,
    position: StreamPosition,
    work: LaneWork<JetStreamRecord>,
    signal: AbortSignal,
  ): Promise<void> {
    const { settings, site, wanted } = this;
    // Asked now: it may have been made again while another node read it.
    const { created, state } = await this.infoOf(link);
    const known = position.seqOf(created);
    const seq = known ?? (wanted.from === 'next' ? state.last_seq : 0);
    if (!(await position.write(seq, created))) return;
    if (known !== undefined && state.first_seq > known + 1) this.report(known + 1, state.first_seq);
    const lane = new JetStreamLane(
      seq,
      {
        ...{ link, position, created, stream: wanted.stream, subjects: wanted.subjects },
        ...{ clock: site.clock, entropy: site.entropy },
        ...{ maxBatch: settings.maxBatch, maxBatchBytes: settings.maxBatchBytes },
        leaseMs: settings.takeOverMs,
        ids: idPrefix('jetstream', wanted.stream, created, wanted.durable),
      },
      signal,
    );
    this.lane = lane;
    let all: readonly Promise<void>[] = [];
    try {
      await lane.open();
      const following = work.follow(lane);
      all = [following, lane.keepLease()];
      await Promise.race(all);
      await following;
    } finally {
      this.lane = undefined;
      await lane.release();
      await Promise.allSettled(all);
    }
  }

  private async infoOf(link: NatsLink): Promise<StreamInfo> {
    const { stream } = this.wanted;
    let info;
    try {
      info = await link.ask(() => link.jsm.streams.info(stream));
    } catch (error) {
      const remedy = apiCode(error) === NO_STREAM ? 'Make it' : 'Permit what docs/consumers.md lists';
      throw new Error(`The stream ${stream} cannot be read: ${messageOf(error)}. ${remedy}`, {
        cause: error,
      });
    }
    // Of one by interest the server deletes what no consumer holds, before it was read here.
    if (info.config.retention === 'limits') return info;
    throw new Error(
      `The stream ${stream} cannot be read: its retention is "${info.config.retention}". Take one whose ` +
        'retention is "limits"',
    );
  }

  private report(next: number, first: number): void {
    this.journal.error(
      'jump',
      () =>
        `Consumer ${this.settings.name}: the stream ${this.wanted.stream} begins at ${first}, and ${next} was to be read next: records were ` +
        'deleted before they were read. Keep them for longer.',
    );
  }
}

/** Makes the stream of positions where there is none. */
async function makePositions(link: NatsLink, name: string, replicas: number): Promise<void> {
  try {
    await link.ask(() => link.jsm.streams.info(name));
    return;
  } catch (error) {
    if (apiCode(error) !== NO_STREAM) throw error;
  }
  try {
    await link.ask(() =>
      link.jsm.streams.add({
        name,
        subjects: [`${name}.>`],
        max_msgs_per_subject: 1,
        num_replicas: replicas,
      }),
    );
  } catch (error) {
    // Another node was first.
    if (apiCode(error) !== STREAM_NAME_IN_USE) throw error;
  }
}
