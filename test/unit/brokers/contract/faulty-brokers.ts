import type {
  AppendRequest,
  Broker,
  BrokerListener,
  BrokerLog,
  BrokerPresence,
  LogPolicy,
  PresenceEntry,
  ReadResult,
} from '../../../../lib/brokers/broker.js';
import { alteredBroker, alteredListener } from '../../../support/engine/altered-broker.js';
import { settle } from '../../../support/engine/manual-clock.js';

/** A broker that breaks one promise. */
export interface FaultyBroker {
  /** Part of the title of a test that must fail. */
  readonly fails: string;
  readonly wrap: (inner: Broker) => Broker;
}

/** Brokers that each break one promise, under the theme of the contract to which the test that must fail belongs. */
export const FAULTY_BROKERS: Readonly<Record<string, Readonly<Record<string, FaultyBroker>>>> = {
  append: {
    'repeats a seq': failing('numbers the events of an empty log from 1', (inner) =>
      withLog(inner, {
        async appendMany(requests) {
          const outcomes = await inner.log.appendMany(requests);
          return outcomes.map((outcome) => {
            if (!outcome.ok) return outcome;
            const { epoch, seq } = outcome.position;
            return { ...outcome, position: { epoch, seq: seq === 2 ? 1 : seq } };
          });
        },
      }),
    ),
    'acknowledges before events can be read': failing(
      'what is acknowledged is in the log, for every node',
      acknowledgesEarly,
    ),
    'appends a batch in reverse': failing('the items of a batch are appended in their order', (inner) =>
      withLog(inner, {
        appendMany: async (requests) => [...(await inner.log.appendMany([...requests].reverse()))].reverse(),
      }),
    ),
    'loses the payload `false`': failing('a payload may be false', (inner) =>
      appending(inner, (request) => {
        const { payload, ...event } = request.event;
        return payload === false ? { ...request, event } : request;
      }),
    ),
  },
  dedupe: {
    'forgets ids': failing('returns the first result for a retried id', (inner) =>
      withPolicy(inner, (policy) => ({ ...policy, dedupeMs: 0 })),
    ),
    'never forgets an id': failing('forgets an id after its window', (inner) =>
      withPolicy(inner, (policy) => ({ ...policy, dedupeMs: policy.dedupeMs * 1_000 })),
    ),
    'takes the ids of all producers for one': failing(
      'the same id of another producer, or in another channel, is another publish',
      (inner) => appending(inner, (request) => ({ ...request, producer: 'anybody' })),
    ),
    'sees no conflict': failing('the same id with another payload is a conflict', (inner) =>
      appending(inner, (request) => ({ ...request, fingerprint: '' })),
    ),
  },
  after: {
    'ignores `after`': failing('fails while the named publish is not in the log', (inner) =>
      appending(inner, ({ after: _after, ...request }) => request),
    ),
  },
  'read and positions': {
    'loses an event': failing('a read never gives more than `limit`, and pages join without hole', (inner) =>
      reading(inner, (result) => ({ ...result, events: result.events.filter(({ seq }) => seq !== 2) })),
    ),
    'ignores `limit`': failing('a read never gives more than `limit`', (inner) =>
      withLog(inner, { read: (request) => inner.log.read({ ...request, limit: 1_000_000 }) }),
    ),
    'ignores `from`': failing('`from` and `until` are inclusive', (inner) =>
      withLog(inner, { read: (request) => inner.log.read({ ...request, from: 1 }) }),
    ),
    'ignores `reverse`': failing('`reverse` counts down from `until`', (inner) =>
      withLog(inner, { read: (request) => inner.log.read({ ...request, reverse: false }) }),
    ),
    'excludes `until`': failing('`from` and `until` are inclusive', (inner) =>
      withLog(inner, {
        read: ({ until, ...request }) =>
          inner.log.read(until === undefined ? request : { ...request, until: until - 1 }),
      }),
    ),
    'calls every position continuous': failing('a position beyond the tip is not continuous', (inner) =>
      reading(inner, (result) => ({ ...result, continuous: true })),
    ),
    'never trims by age': failing('history trimmed by age is continuous', (inner) =>
      withPolicy(inner, (policy) => ({ ...policy, ttlMs: 3_600_000 })),
    ),
    'always starts at 1': failing('history trimmed by size is continuous', (inner) =>
      reading(inner, (result) => ({ ...result, oldest: 1 })),
    ),
  },
  'fan-out': {
    'loses an event': failing(
      'every subscribed node, the publishing one included, is told every event',
      (inner) =>
        listening(inner, (listener) => ({
          onEvents: (channel, events) =>
            listener.onEvents(
              channel,
              events.filter(({ seq }) => seq !== 2),
            ),
        })),
    ),
    'pushes events twice': failing(
      'every subscribed node, the publishing one included, is told every event',
      (inner) =>
        listening(inner, (listener) => ({
          onEvents(channel, events) {
            listener.onEvents(channel, events);
            listener.onEvents(channel, events);
          },
        })),
    ),
    'pushes a batch in reverse': failing('the channels of one batch keep their order each', (inner) =>
      listening(inner, (listener) => ({
        onEvents: (channel, events) => listener.onEvents(channel, [...events].reverse()),
      })),
    ),
    'never ends a subscription': failing('after `unsubscribe` nothing more is told', (inner) =>
      withLog(inner, { unsubscribe: async () => undefined }),
    ),
    'pushes signals after `unsubscribe`': failing('after `unsubscribe` nothing more is told', (inner) => {
      const left = new Set<string>();
      const broker = listening(inner, (listener) => ({
        onEvents(channel, events) {
          if (!left.has(channel)) listener.onEvents(channel, events);
        },
        onPresence(channel, diff) {
          if (!left.has(channel)) listener.onPresence(channel, diff);
        },
      }));
      return withLog(broker, {
        async subscribe(channel) {
          left.delete(channel);
          return broker.log.subscribe(channel);
        },
        async unsubscribe(channel) {
          left.add(channel);
        },
      });
    }),
  },
  interleavings: {
    'reads the tip before it subscribes': failing(
      'a replay up to the tip of `subscribe` and what is pushed after it meet',
      (inner) =>
        withLog(inner, {
          async subscribe(channel) {
            const [tip] = await inner.log.tips([channel]);
            await settle();
            return { ...(await inner.log.subscribe(channel)), ...tip };
          },
        }),
    ),
  },
  signals: {
    'logs signals': failing('signals are never in the log', (inner) =>
      withLog(inner, {
        async signal(channel, { event, payload }) {
          await inner.log.appendMany([
            {
              channel,
              producer: 'signal',
              fingerprint: '',
              event: { id: crypto.randomUUID(), event, payload },
              policy: { retain: true, size: 100, ttlMs: 60_000, dedupeMs: 0 },
            },
          ]);
        },
      }),
    ),
    'loses the user': failing('a signal reaches every subscribed node', (inner) =>
      withLog(inner, {
        signal: (channel, { user: _user, ...message }) => inner.log.signal(channel, message),
      }),
    ),
  },
  'presence: membership': {
    'ignores generations': failing('an older generation can neither change nor end', (inner) =>
      entering(inner, (entry) => ({ ...entry, generation: 1 })),
    ),
    'ignores devices': failing('several devices of a user are one member', (inner) =>
      entering(inner, (entry) => ({ ...entry, device: 'd' })),
    ),
    'gives no grace': failing('a blip inside the grace is no leave', (inner) =>
      presenting(inner, { leave: (entry) => inner.presence.leave(entry, 0) }),
    ),
    'does not renew': failing('renewals keep members beyond their first lease', (inner) =>
      presenting(inner, { renew: async () => undefined }),
    ),
    'loses data': failing('`update` replaces the data of the member', (inner) =>
      entering(inner, ({ data: _data, ...entry }) => entry),
    ),
  },
  'presence: rosters and versions': {
    'loses every third diff': failing('versions of diffs follow one another', (inner) =>
      listening(inner, (listener) => {
        let count = 0;
        return {
          onPresence(channel, diff) {
            count += 1;
            if (count % 3 !== 0) listener.onPresence(channel, diff);
          },
        };
      }),
    ),
    'pushes a diff twice': failing('versions of diffs follow one another', (inner) =>
      listening(inner, (listener) => ({
        onPresence(channel, diff) {
          listener.onPresence(channel, diff);
          listener.onPresence(channel, diff);
        },
      })),
    ),
    'gives the first page again and again': failing('pages hold every member once', (inner) =>
      presenting(inner, { members: (channel, { limit }) => inner.presence.members(channel, { limit }) }),
    ),
    miscounts: failing('a diff says how many members there are after it', (inner) =>
      listening(inner, (listener) => ({
        onPresence: (channel, diff) =>
          listener.onPresence(channel, { ...diff, count: (diff.count ?? 0) + 1 }),
      })),
    ),
  },
  control: {
    'confirms for nodes that did not': failing('names a node that does not answer in time', (inner) =>
      alteredBroker(inner, {
        bus: {
          async control(message) {
            const { confirmed, missing } = await inner.bus.control(message);
            return { confirmed: [...confirmed, ...missing], missing: [] };
          },
        },
      }),
    ),
    'keeps bans from nodes that start later': failing(
      'a node that starts later is told the bans that hold',
      (inner) => {
        let started = false;
        const broker = listening(inner, (listener) => ({
          onControl: (message) => (started ? listener.onControl(message) : undefined),
        }));
        return alteredBroker(broker, {
          async start(listener, nodeId) {
            await broker.start(listener, nodeId);
            started = true;
          },
        });
      },
    ),
    'applies a record twice': failing('a record reaches every node', (inner) =>
      listening(inner, (listener) => ({
        async onControl(message) {
          await listener.onControl(message);
          await listener.onControl(message);
        },
      })),
    ),
  },
  'life cycle': {
    'promises more than it declares': failing('declares what it can promise', (inner) =>
      alteredBroker(inner, { capabilities: { ...inner.capabilities, durability: 'replicated' } }),
    ),
    'answers after `close`': failing('every call after `close` rejects', (inner) =>
      withLog(inner, {
        tips: (channels) =>
          inner.log.tips(channels).catch(() => channels.map(() => ({ epoch: 'closed', seq: 0 }))),
      }),
    ),
    'does not report that it is up': failing('has told `up` by the time `start` resolves', (inner) =>
      listening(inner, () => ({ onState: () => undefined })),
    ),
    'hears on after `close`': failing('a closed node hears nothing more', hearsOn),
  },
  faults: {
    'keeps its epoch when the log was lost': failing('a log that was lost has another epoch', (inner) => {
      const epoch = 'forever';
      return withLog(inner, {
        tips: async (channels) => (await inner.log.tips(channels)).map(({ seq }) => ({ epoch, seq })),
        async read({ epoch: _epoch, ...request }) {
          const { tip, ...result } = await inner.log.read(request);
          return { ...result, tip: { epoch, seq: tip.seq } };
        },
      });
    }),
  },
};

function failing(fails: string, wrap: (inner: Broker) => Broker): FaultyBroker {
  return { fails, wrap };
}

function withLog(inner: Broker, log: Partial<BrokerLog>): Broker {
  return alteredBroker(inner, { log });
}

function appending(inner: Broker, change: (request: AppendRequest) => AppendRequest): Broker {
  return withLog(inner, { appendMany: (requests) => inner.log.appendMany(requests.map(change)) });
}

function withPolicy(inner: Broker, change: (policy: LogPolicy) => LogPolicy): Broker {
  return appending(inner, (request) => ({ ...request, policy: change(request.policy) }));
}

function reading(inner: Broker, change: (result: ReadResult) => ReadResult): Broker {
  return withLog(inner, { read: async (request) => change(await inner.log.read(request)) });
}

function listening(inner: Broker, change: (listener: BrokerListener) => Partial<BrokerListener>): Broker {
  return alteredBroker(inner, {
    start: (listener, nodeId) => inner.start(alteredListener(listener, change(listener)), nodeId),
  });
}

function presenting(inner: Broker, presence: Partial<BrokerPresence>): Broker {
  return alteredBroker(inner, { presence });
}

function entering(inner: Broker, change: (entry: PresenceEntry) => PresenceEntry): Broker {
  const { presence } = inner;
  return presenting(inner, {
    enter: (entry, leaseMs) => presence.enter(change(entry), leaseMs),
    update: (entry) => presence.update(change(entry)),
    leave: (entry, graceMs) => presence.leave(change(entry), graceMs),
    renew: (entries, leaseMs) => presence.renew(entries.map(change), leaseMs),
  });
}

/** What was appended in a turn of the event loop can be read only in the next. */
const hidden = new Set<string>();

function acknowledgesEarly(inner: Broker): Broker {
  return withLog(inner, {
    async appendMany(requests) {
      const outcomes = await inner.log.appendMany(requests);
      for (const { event } of requests) {
        hidden.add(event.id);
        void settle().then(() => hidden.delete(event.id));
      }
      return outcomes;
    },
    async read(request) {
      const result = await inner.log.read(request);
      return { ...result, events: result.events.filter(({ id }) => !hidden.has(id)) };
    },
  });
}

/** Listeners of brokers that were closed. */
const closed = new Set<BrokerListener>();

/** What one broker hears, those that were closed before hear too. */
function hearsOn(inner: Broker): Broker {
  let own: BrokerListener | undefined;
  const broker = listening(inner, (listener) => {
    own = listener;
    return {
      onSignal(channel, signal) {
        listener.onSignal(channel, signal);
        for (const other of closed) other.onSignal(channel, signal);
      },
    };
  });
  return alteredBroker(broker, {
    async close() {
      await inner.close();
      if (own !== undefined) closed.add(own);
    },
  });
}
