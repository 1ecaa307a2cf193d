import { MAX_EVENT_LENGTH, MAX_ID_LENGTH } from '../../protocol/envelope.js';
import type { HistoryResult, PresencePage, PublishResult } from '../../protocol/messages.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import { fromWireValue } from '../../protocol/wire-value.js';
import type { ChannelRegistry } from '../channel/registry.js';
import { readHistory, type HistoryQuery } from '../commands/history.js';
import type { Hub } from '../hub/hub.js';
import { readMembers } from '../hub/member-pages.js';
import type { AppendQueue } from '../log/append-queue.js';
import type { Erasures } from '../log/erasures.js';
import { contentOf, fingerprintOf, metaOf, sizeOf } from '../log/event-content.js';
import type { AppendRequest, Broker, LogPolicy } from '../ports/broker.js';
import type { EventDraft } from '../ports/channel-event.js';
import type { ChannelDefinition } from '../ports/channel-definition.js';
import type { Clock } from '../ports/clock.js';
import type { PreparedPublish } from '../ports/consumers.js';
import type { Entropy } from '../ports/entropy.js';
import { rejected } from '../ports/maybe-promise.js';
import { RESERVED_EVENTS } from '../ports/erasure.js';
import type { EngineSettings } from '../ports/settings.js';
import type { EngineTracer } from '../ports/tracer.js';

/** Optional fields of an application's publish. Without an `id` the event gets a new one, and is never a retry (G4). */
export type ApplicationPublishOptions = Partial<
  Pick<EventDraft, 'id' | 'key' | 'ttl' | 'user' | 'trace' | 'meta'>
>;

const NO_OPTIONS: ApplicationPublishOptions = {};

export interface ApplicationLogDeps {
  readonly channels: ChannelRegistry;
  readonly hub: Hub;
  readonly appends: AppendQueue;
  readonly broker: Pick<Broker, 'log' | 'presence'>;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly erasures: Pick<Erasures, 'cleanse'>;
  readonly settings: Pick<EngineSettings, 'applicationName' | 'limits'>;
  /** Absent where nothing is traced. */
  readonly tracer?: EngineTracer | undefined;
}

/**
 * What the application itself writes to channels and reads from them. It is trusted: nothing is authorized. Every method
 * rejects with a `RealtimeError`: `unknown_channel`, `bad_request`, `message_too_large`, `unavailable` or `timeout`.
 */
export class ApplicationLog {
  /** In whose name the ids of the application are unique (P15). */
  private readonly producer: string;
  /** Policies of logs, for an event whose id is not remembered. */
  private readonly forgetfulPolicies = new WeakMap<LogPolicy, LogPolicy>();

  constructor(private readonly deps: ApplicationLogDeps) {
    this.producer = `a:${deps.settings.applicationName}`;
  }

  /**
   * Appends an event. Rejects with `conflict` as well, for an `id` that was used with other content.
   *
   * Not `async`: at a thousand publishes a turn its promises and frames were a third of the garbage.
   */
  publish(
    channel: string,
    event: string,
    payload: unknown,
    options: ApplicationPublishOptions = NO_OPTIONS,
  ): Promise<PublishResult> {
    try {
      const { tracer } = this.deps;
      const definition = this.definitionOf(channel);
      if (tracer === undefined)
        return this.append(definition, channel, event, payload, options, options.trace);
      return tracer.publishing(definition.pattern, channel, options.trace, (trace) =>
        this.append(definition, channel, event, payload, options, trace),
      );
    } catch (error) {
      return rejected(error);
    }
  }

  /**
   * Checks an event, and fixes its content: what it cannot be is known before anything is sent. For what must be appended once however
   * often it is sent, in the order of its channel.
   *
   * @throws RealtimeError as {@link publish} rejects with, but those of the broker; `bad_request` where the channel remembers no ids
   */
  prepare(
    channel: string,
    event: string,
    payload: unknown,
    options: ApplicationPublishOptions & { readonly id: string },
  ): PreparedPublish {
    const definition = this.definitionOf(channel);
    // Without it each attempt would be appended, and everything that names the one before it refused.
    if (definition.policy.log.dedupeMs === 0)
      throw new RealtimeError(
        'bad_request',
        `Consumers need dedupe of the channel: take dedupe: false out of the @Channel of "${definition.pattern}"`,
      );
    const request = this.requestOf(definition, channel, event, payload, options, options.trace);
    const { appends } = this.deps;
    return {
      channel,
      id: options.id,
      bytes: request.bytes,
      send: (after) =>
        appends.append(after === undefined ? request : { ...request, after }, definition.pattern),
    };
  }

  /** Sends a message that is never stored to the subscribers of this moment. */
  async signal(channel: string, event: string, payload: unknown, user?: string): Promise<void> {
    const { channels, broker, settings } = this.deps;
    channels.require(channel);
    requireFree(event);
    const { value, json } = contentOf(payload);
    sizeOf({ event, user }, json, '', settings.limits.maxEventBytes);
    await broker.log.signal(channel, { event, payload: value, user });
  }

  /** Reads a page of the log. */
  async history(channel: string, query: HistoryQuery = {}): Promise<HistoryResult> {
    const { channels, broker, clock, settings, erasures } = this.deps;
    channels.require(channel);
    const { maxPageBytes } = settings.limits;
    const page = await readHistory(
      { log: broker.log, erasures },
      channel,
      query,
      clock.monotonic(),
      maxPageBytes,
    );
    // Of its own: what the application changes in it is not what the log holds.
    return fromWireValue(page) as HistoryResult;
  }

  /** Reads a page of the members. */
  async members(channel: string, page: { cursor?: string; limit?: number } = {}): Promise<PresencePage> {
    const { channels, broker, settings } = this.deps;
    const { definition } = channels.require(channel);
    if (definition.policy.presence === false)
      throw new RealtimeError(
        'bad_request',
        `"${definition.pattern}" keeps no presence: set presence: true in its @Channel`,
      );
    const members = await readMembers(broker.presence, channel, page, settings.limits.maxPageBytes);
    return fromWireValue(members) as PresencePage;
  }

  /** Whether there is such a channel here, and it keeps presence. */
  keepsPresence(channel: string): boolean {
    const policy = this.deps.channels.find(channel)?.definition.policy;
    return policy !== undefined && policy.presence !== false;
  }

  private definitionOf(channel: string): ChannelDefinition {
    const { channels, hub } = this.deps;
    return (hub.find(channel) ?? channels.require(channel)).definition;
  }

  private append(
    definition: ChannelDefinition,
    channel: string,
    event: string,
    payload: unknown,
    options: ApplicationPublishOptions,
    trace: string | undefined,
  ): Promise<PublishResult> {
    const request = this.requestOf(definition, channel, event, payload, options, trace);
    return this.deps.appends.append(request, definition.pattern);
  }

  private requestOf(
    { policy }: ChannelDefinition,
    channel: string,
    event: string,
    payload: unknown,
    options: ApplicationPublishOptions,
    trace: string | undefined,
  ): AppendRequest {
    const { entropy, settings } = this.deps;
    const { log } = policy;
    const id = options.id ?? entropy.id();
    if (id.length < 1 || id.length > MAX_ID_LENGTH) {
      throw new RealtimeError('bad_request', `The id of a publish has 1 to ${MAX_ID_LENGTH} characters`);
    }
    if (event.length < 1 || event.length > MAX_EVENT_LENGTH) {
      throw new RealtimeError('bad_request', `The name of an event has 1 to ${MAX_EVENT_LENGTH} characters`);
    }
    requireFree(event);
    const content = contentOf(payload);
    const meta = metaOf(options.meta);
    const draft: EventDraft = {
      id,
      event,
      payload: content.value,
      user: options.user,
      key: options.key,
      ttl: options.ttl,
      trace,
      meta: meta.value as EventDraft['meta'],
    };
    const sent = meta.json === '' ? content.json : `[${content.json || 'null'},${meta.json}]`;
    return {
      channel,
      producer: this.producer,
      // An id that was made here is never sent again, so nothing is gained by remembering it.
      fingerprint: options.id === undefined ? '' : fingerprintOf(event, sent),
      policy: options.id === undefined ? this.forgetful(log) : log,
      event: draft,
      bytes: sizeOf(draft, content.json, meta.json, settings.limits.maxEventBytes),
    };
  }

  private forgetful(log: LogPolicy): LogPolicy {
    let policy = this.forgetfulPolicies.get(log);
    if (policy === undefined) this.forgetfulPolicies.set(log, (policy = { ...log, dedupeMs: 0 }));
    return policy;
  }
}

/** @throws RealtimeError `bad_request` for a name that is the library's (P31c). */
function requireFree(event: string): void {
  if (!event.startsWith(RESERVED_EVENTS)) return;
  throw new RealtimeError(
    'bad_request',
    `The name of an event may not begin with "$", as ${JSON.stringify(event)} does: such events are the library's. Choose another name`,
  );
}
