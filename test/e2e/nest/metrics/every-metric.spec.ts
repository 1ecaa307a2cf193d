import { afterEach, expect, it } from '@jest/globals';
import { memoryBroker } from '../../../../lib/brokers/memory/index.js';
import { consumerOf, consumeSettings } from '../../../../lib/consumers/index.js';
import type { RealtimeConsumer } from '../../../../lib/core/ports/consumers.js';
import { METRICS } from '../../../../lib/metrics/table/index.js';
import { DeliveryFailure, realtimeHooks, type HookTarget } from '../../../../lib/hooks/index.js';
import { RealtimeMetricsModule } from '../../../../lib/metrics/index.js';
import {
  Authorize,
  Channel,
  OnPublish,
  PublicChannel,
  RealtimeService,
  RealtimeUser,
  type Duration,
} from '../../../../lib/nest/index.js';
import { RealtimeRuntime } from '../../../../lib/nest/lifecycle/realtime-runtime.js';
import type { EngineParts } from '../../../../lib/core/engine/composition.js';
import { ChannelEvent } from '../../../../lib/core/ports/channel-event.js';
import { RealtimeError } from '../../../../lib/protocol/realtime-error.js';
import { MemoryTopic, type MemoryRecord } from '../../../support/consumers/memory-topic.js';
import { NodeLife } from '../../../support/consumers/node-life.js';
import { lossyBroker } from '../../../support/fault/lossy-broker.js';
import { promtool } from '../../../support/prometheus/promtool.js';
import { valueOf, type ScrapedSample } from '../../../support/prometheus/scrape.js';
import { until } from '../../../support/until.js';
import { EventReader } from '../../../support/wire/event-reader.js';
import { WireClient } from '../../../support/wire/client.js';
import { hello, PollSession, StreamSession, subscribe } from '../../http-session/raw.js';
import { byName, PLATFORMS, startApp, type TestApp } from '../support/nest-app.js';
import { scrape, servedRegistry } from './support.js';

/** Settles when it is told to. */
function gate() {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open: () => open() };
}

let slow = gate();

@Channel('rooms.:room')
class Rooms {
  @Authorize('subscribe')
  async mayRead(@RealtimeUser() user: { id: string } | undefined): Promise<boolean> {
    return (await Promise.resolve(user?.id)) !== 'mallory';
  }
  @Authorize('publish')
  mayWrite() {
    return true;
  }
  @OnPublish('said')
  said() {}
  @OnPublish('slow')
  slow(): Promise<void> {
    return slow.opened;
  }
  @OnPublish('breaks')
  breaks(): void {
    throw new Error('The database is gone');
  }
}

@PublicChannel()
@Channel('prices.:currency', { overflow: 'drop-oldest' })
class Prices {}

/** A sink that never takes anything. */
const away = {
  name: 'away',
  write(): void {
    throw new Error('The disk is full');
  },
};
/** Stops at a record that gives no event. */
function stopping(): RealtimeConsumer {
  const topic = new MemoryTopic(1);
  topic.batch = 1;
  for (const value of ['1', 'bad', '2']) topic.add(0, 'prices.eur', value);
  const to = ({ key, value }: MemoryRecord) => {
    if (value === 'bad') throw new Error('no event');
    return { channel: key, event: 'changed', payload: value };
  };
  return consumerOf(consumeSettings({ to }, 'fromMemory', 'orders'), () => topic.source(new NodeLife()));
}
const followed = 'prices.:currency';
const taking: HookTarget = {
  name: 'taking',
  types: new Set(['channel.occupied']),
  deliver: () => Promise.resolve(),
};
const failing: HookTarget = {
  name: 'failing',
  types: new Set(['channel.occupied']),
  deliver: () => Promise.reject(new Error('500')),
};
const refusing: HookTarget = {
  name: 'refusing',
  types: new Set(['channel.occupied']),
  deliver: () => Promise.reject(new DeliveryFailure('400', { ends: 'event' })),
};

let running: TestApp | undefined;
afterEach(async () => {
  slow.open();
  await running?.close();
  running = undefined;
});

const KB = 'x'.repeat(1_000);

it('every documented metric has a value above zero in one run over all transports (G14, G17, G20, G21)', async () => {
  slow = gate();
  const { registry, controller } = servedRegistry();
  const broker = lossyBroker(memoryBroker());
  const verified = gate();
  const probeEvery: Duration = '100ms';
  let isProbeLost = false;
  const { probe } = broker;
  broker.probe = (timeoutMs) =>
    isProbeLost ? Promise.reject(new RealtimeError('timeout')) : probe.call(broker, timeoutMs);
  const [, platform] = PLATFORMS[0];
  const app = await startApp(platform, {
    providers: [Rooms, Prices],
    controllers: [controller],
    imports: [RealtimeMetricsModule.forRoot({ registry, probeEvery })],
    realtime: {
      auth: {
        authenticator: {
          authenticate: async (credentials) => {
            if (credentials.token === 'slow') await verified.opened;
            return byName.authenticate(credentials);
          },
        },
      },
      broker,
      limits: { ratePerSecond: 50, burst: 50, maxVerificationsPerAddress: 1 },
      outbox: { maxBytes: 64 * 1024, maxMessages: 100 },
      hooks: realtimeHooks({ channels: [followed], webhooks: [taking, failing, refusing] }),
      audit: { sinks: [away], maxQueued: 16 },
      consumers: [stopping()],
      circuits: { clientFailures: 3 },
      abuse: { throttleAfter: 1_000, closeAfter: 20 },
      moderation: {
        spam: {
          detector: { judge: ({ payload }) => (payload === 'spam' ? 'escalate' : 'allow') },
          steps: [{ step: 'warn' }],
        },
      },
    },
  });
  running = app;
  const realtime = app.app.get(RealtimeService);
  const seen = new Set<string>();
  let last: readonly ScrapedSample[] = [];
  /** Looks what has a value, and returns the sum of some of it. */
  const look = async (name = '', labels: Record<string, string> = {}): Promise<number> => {
    const { samples } = await scrape(app.httpUrl);
    last = samples;
    for (const one of samples)
      if (one.value > 0) seen.add(one.name.replace(/^realtime_/, '').replace(/_(bucket|count|sum)$/, ''));
    return valueOf(samples, name, labels);
  };
  const sees = (name: string, labels: Record<string, string> = {}): Promise<void> =>
    until(`${name} ${JSON.stringify(labels)}`, async () => (await look(`realtime_${name}`, labels)) > 0);

  // All transports and codecs.
  const ada = await app.connect('ada');
  const packed = await app.connect('bob', { protocols: ['realtime.v1.msgpack'] });
  const body = [hello({ token: 'cleo' }), subscribe('prices.eur')];
  const stream = await StreamSession.open(app.httpUrl, body);
  const polls = await PollSession.open(app.httpUrl, body);
  const feed = await EventReader.open(`${app.httpUrl}/sse?channels=prices.eur`, {
    headers: { authorization: 'Bearer emma' },
  });
  for (const client of [ada, packed])
    for (const channel of ['rooms.1', 'prices.eur'])
      client.send({ type: 'subscribe', id: channel, channel, payload: {} });
  await until(
    'all subscriptions',
    async () => (await look('realtime_subscriptions', { pattern: 'prices.:currency' })) >= 5,
  );
  for (const transport of ['websocket', 'sse', 'polling', 'feed']) {
    expect(valueOf(last, 'realtime_connections', { transport })).toBeGreaterThan(0);
    await sees('sent_bytes_total', { transport });
  }
  expect(valueOf(last, 'realtime_connections', { codec: 'msgpack' })).toBe(1);
  expect(valueOf(last, 'realtime_sessions', { state: 'live' })).toBe(5);
  expect(valueOf(last, 'realtime_channels')).toBe(2);

  // Publishes, duplicates, retries, signals, delivery.
  const said = { type: 'publish', channel: 'rooms.1', event: 'said', payload: 'hi' };
  ada.send({ ...said, id: 'p1' });
  await sees('commands_total', { type: 'publish', outcome: 'ok' });
  ada.send({ ...said, id: 'p1' });
  await sees('publish_retries_total');
  await realtime.channel('rooms.1').publish('said', 1, { id: 'one' });
  await realtime.channel('rooms.1').publish('said', 1, { id: 'one' });
  await realtime.channel('prices.eur').signal('tick', 1);
  await sees('publishes_total', { outcome: 'duplicate' });
  await sees('publish_to_socket_seconds_count');
  await sees('delivery_wait_seconds_count');
  await sees('signals_sent_total');

  // Refusals, authorizations, spam, circuits, rates.
  await WireClient.refused(`${app.url}/nowhere`);
  const bad = await app.open();
  bad.send({ type: 'hello', id: 'h', payload: { versions: [1], token: 'bad' } });
  await bad.expectClose();
  await sees('refusals_total', { at: 'hello', reason: 'unauthorized' });
  const mallory = await app.connect('mallory');
  mallory.send({ type: 'subscribe', id: 's', channel: 'rooms.1', payload: {} });
  await sees('authorizations_total', { outcome: 'forbidden', action: 'subscribe' });
  ada.send({ ...said, id: 'p2', payload: 'spam' });
  await sees('spam_refusals_total', { step: 'warn' });
  for (let index = 0; index < 4; index++) packed.send({ ...said, id: `b${index}`, event: 'breaks' });
  await sees('circuits_total', { state: 'open', of: 'one' });
  ada.send({ ...said, id: 'p3', event: 'slow' });
  await sees('commands_in_flight');
  slow.open();
  for (let index = 0; index < 250; index++)
    mallory.send({ type: 'history', id: `h${index}`, channel: 'rooms.1', payload: {} });
  await sees('rate_limited_total');
  await sees('abuse_bans', { of: 'user' });
  await sees('disconnects_total', { reason: 'rate_abuse', by: 'node' });

  // Verifications, and what waits for them.
  const waiting = [await app.open(), await app.open()];
  for (const client of waiting)
    client.send({ type: 'hello', id: 'h', payload: { versions: [1], token: 'slow' } });
  await sees('verifications');
  await sees('waiting', { line: 'verification' });
  expect(valueOf(last, 'realtime_sessions', { state: 'authenticating' })).toBe(2);
  verified.open();

  // A client that does not read: its queue fills, drops, and is announced.
  const lazy = await app.connect('dora');
  lazy.send({ type: 'subscribe', id: 's', channel: 'prices.usd', payload: {} });
  await sees('subscribes_total', { pattern: 'prices.:currency' });
  lazy.stopReading();
  const usd = realtime.channel('prices.usd');
  await until('a blocked connection', async () => {
    for (let index = 0; index < 200; index++) await usd.publish('price', KB);
    return (
      (await look('realtime_blocked_connections')) > 0 && (await look('realtime_queue_bytes')) > 64 * 1_000
    );
  });
  await sees('queue_age_seconds');
  for (let index = 0; index < 20; index++) await usd.signal('tick', KB.repeat(60));
  await sees('signals_dropped_total');
  lazy.goOnReading();
  await sees('events_dropped_total', {
    reason: 'overflow',
    policy: 'drop-oldest',
    pattern: 'prices.:currency',
  });
  await sees('gaps_total');

  // What was missed, healed, and lost.
  const { position } = await realtime.channel('rooms.1').history({ limit: 1 });
  await realtime.channel('rooms.1').publish('said', 2);
  const late = await app.connect('emil');
  late.send({
    type: 'subscribe',
    id: 's',
    channel: 'rooms.1',
    payload: { position: { ...position, seq: 0 } },
  });
  await sees('replays_total');
  await sees('replay_events_count');
  await sees('subscribes_total', { recovery: 'complete' });
  broker.mangle = () => [];
  await realtime.channel('rooms.1').publish('said', 3);
  broker.mangle = undefined;
  await realtime.channel('rooms.1').publish('said', 4);
  await sees('heals_total', { pattern: 'rooms.:room' });
  await sees('healed_events_total');
  const lost = {
    channel: 'rooms.1',
    seq: 1,
    epoch: 'another',
    ts: 1,
    id: 'i',
    event: 'said',
    expiresAt: Infinity,
  };
  broker.onRead = (_request, result) => ({
    ...result,
    continuous: false,
    tip: { epoch: 'another', seq: 1 },
    events: [],
  });
  broker.listener?.onEvents('rooms.1', [new ChannelEvent(lost)]);
  await sees('resets_total');
  broker.onRead = undefined;

  // Acts, bans, restrictions.
  await realtime.user('ada').revoke('rooms.1');
  await realtime.moderation.mute({ user: 'bob' }, { for: '1h' });
  await realtime.user('emil').ban({ for: '1h' });
  await sees('act_duration_seconds_count', { act: 'revoke' });
  await sees('acts_total', { act: 'restrict_mute', result: 'applied' });
  await sees('restrictions', { act: 'mute' });
  await sees('disconnects_total', { reason: 'banned', by: 'node' });

  // Targets of hooks, and sinks of the audit.
  await sees('hook_taken_total', { target: 'taking' });
  await sees('hook_given_up_total', { target: 'refusing' });
  await sees('hook_waiting', { target: 'failing' });
  await sees('audit_failed_total', { sink: 'away' });
  await sees('audit_waiting', { sink: 'away' });
  for (let index = 0; index < 20; index++) realtime.audit.record({ act: 'looked' });
  await sees('audit_lost_total', { sink: 'away' });
  for (let index = 0; index < 5; index++)
    await ada.call({ type: 'subscribe', channel: `prices.c${index}`, payload: {} });
  await sees('hook_state', { target: 'failing' });

  // Consumers.
  await sees('consumer_records_total', { consumer: 'orders', result: 'published' });
  await sees('consumer_records_total', { consumer: 'orders', result: 'dead' });
  await sees('consumer_state', { consumer: 'orders' });
  expect(await look('realtime_consumer_lag', { consumer: 'orders' })).toBe(2);

  // The broker: probes, away, back; revokes that cannot be proved.
  await sees('broker_up');
  await sees('broker_round_trip_seconds_count');
  isProbeLost = true;
  await sees('broker_probes_failed_total');
  broker.listener?.onState('down', 'the cable is cut');
  broker.listener?.onControlCurrent(1);
  await sees('withholding');
  await sees('broker_changes_total', { state: 'down' });
  expect(valueOf(last, 'realtime_broker_up')).toBe(0);
  await sees('event_loop_delay_seconds_count');

  stream.reader.close();
  feed.close();
  const { engine } = app.app.get(RealtimeRuntime);
  (engine as unknown as { parts: EngineParts }).parts.overload.change(2);
  await sees('shedding', { step: 'history' });
  expect(valueOf(last, 'realtime_shedding', { step: 'low' })).toBe(0);
  engine.beginDrain();
  expect(valueOf(last, 'realtime_drain_connections')).toBe(0);
  await sees('draining');
  await sees('drain_connections');
  expect(polls).toBeDefined();
  expect(Object.keys(METRICS).filter((name) => !seen.has(name))).toEqual([]);

  const { text } = await scrape(app.httpUrl);
  expect(promtool(['check', 'metrics'], text)).toEqual({ status: 0, text: '' });
});
