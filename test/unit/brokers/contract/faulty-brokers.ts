import type {
  AppendRequest,
  Broker,
  BrokerListener,
  BrokerPresence,
  LogPolicy,
  PresenceEntry,
  ReadResult,
} from '../../../../lib/brokers/broker.js';
import { settle } from '../../../support/manual-clock.js';

/** Brokers that each break one promise, under the theme of the contract that must fail. */
export const FAULTY_BROKERS: Readonly<Record<string, Readonly<Record<string, (inner: Broker) => Broker>>>> = {
  append: {
    'repeats a seq': (inner) =>
      altered(inner, {
        async appendMany(requests) {
          const outcomes = await inner.appendMany(requests);
          return outcomes.map((outcome) => {
            if (!outcome.ok) return outcome;
            const { epoch, seq } = outcome.position;
            return { ...outcome, position: { epoch, seq: seq === 2 ? 1 : seq } };
          });
        },
      }),
    'acknowledges before events can be read': acknowledgesEarly,
    'appends a batch in reverse': (inner) =>
      altered(inner, {
        appendMany: async (requests) => [...(await inner.appendMany([...requests].reverse()))].reverse(),
      }),
    'loses the payload `false`': (inner) =>
      appending(inner, (request) => {
        const { payload, ...event } = request.event;
        return payload === false ? { ...request, event } : request;
      }),
  },
  dedupe: {
    'forgets ids': (inner) => withPolicy(inner, (policy) => ({ ...policy, dedupeMs: 0 })),
    'never forgets an id': (inner) =>
      withPolicy(inner, (policy) => ({ ...policy, dedupeMs: policy.dedupeMs * 1_000 })),
    'takes the ids of all producers for one': (inner) =>
      appending(inner, (request) => ({ ...request, producer: 'anybody' })),
    'sees no conflict': (inner) => appending(inner, (request) => ({ ...request, fingerprint: '' })),
  },
  after: {
    'ignores `after`': (inner) => appending(inner, ({ after: _after, ...request }) => request),
  },
  'read and positions': {
    'loses an event': (inner) =>
      reading(inner, (result) => ({ ...result, events: result.events.filter(({ seq }) => seq !== 2) })),
    'ignores `limit`': (inner) =>
      altered(inner, { read: (request) => inner.read({ ...request, limit: 1_000_000 }) }),
    'ignores `from`': (inner) => altered(inner, { read: (request) => inner.read({ ...request, from: 1 }) }),
    'ignores `reverse`': (inner) =>
      altered(inner, { read: (request) => inner.read({ ...request, reverse: false }) }),
    'excludes `until`': (inner) =>
      altered(inner, {
        read: ({ until, ...request }) =>
          inner.read(until === undefined ? request : { ...request, until: until - 1 }),
      }),
    'calls every position continuous': (inner) =>
      reading(inner, (result) => ({ ...result, continuous: true })),
    'never trims by age': (inner) => withPolicy(inner, (policy) => ({ ...policy, ttlMs: 3_600_000 })),
    'always starts at 1': (inner) => reading(inner, (result) => ({ ...result, oldest: 1 })),
  },
  'fan-out': {
    'loses an event': (inner) =>
      listening(inner, (listener) => ({
        onEvents: (channel, events) =>
          listener.onEvents(
            channel,
            events.filter(({ seq }) => seq !== 2),
          ),
      })),
    'pushes events twice': (inner) =>
      listening(inner, (listener) => ({
        onEvents(channel, events) {
          listener.onEvents(channel, events);
          listener.onEvents(channel, events);
        },
      })),
    'pushes a batch in reverse': (inner) =>
      listening(inner, (listener) => ({
        onEvents: (channel, events) => listener.onEvents(channel, [...events].reverse()),
      })),
    'never ends a subscription': (inner) => altered(inner, { unsubscribe: async () => undefined }),
  },
  interleavings: {
    'reads the tip before it subscribes': (inner) =>
      altered(inner, {
        async subscribe(channel) {
          const [tip] = await inner.tips([channel]);
          await settle();
          return { ...(await inner.subscribe(channel)), ...tip };
        },
      }),
  },
  signals: {
    'logs signals': (inner) =>
      altered(inner, {
        async signal(channel, { event, payload }) {
          await inner.appendMany([
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
    'loses the user': (inner) =>
      altered(inner, {
        signal: (channel, { user: _user, ...message }) => inner.signal(channel, message),
      }),
  },
  'presence: membership': {
    'ignores generations': (inner) => entering(inner, (entry) => ({ ...entry, generation: 1 })),
    'ignores devices': (inner) => entering(inner, (entry) => ({ ...entry, device: 'd' })),
    'gives no grace': (inner) => presenting(inner, { leave: (entry) => inner.presence.leave(entry, 0) }),
    'does not renew': (inner) => presenting(inner, { renew: async () => undefined }),
    'loses data': (inner) => entering(inner, ({ data: _data, ...entry }) => entry),
  },
  'presence: rosters and versions': {
    'loses every third diff': (inner) =>
      listening(inner, (listener) => {
        let count = 0;
        return {
          onPresence(channel, diff) {
            count += 1;
            if (count % 3 !== 0) listener.onPresence(channel, diff);
          },
        };
      }),
    'gives the first page again and again': (inner) =>
      presenting(inner, { members: (channel, { limit }) => inner.presence.members(channel, { limit }) }),
    miscounts: (inner) =>
      listening(inner, (listener) => ({
        onPresence: (channel, diff) =>
          listener.onPresence(channel, { ...diff, count: (diff.count ?? 0) + 1 }),
      })),
  },
  control: {
    'confirms for nodes that did not': (inner) =>
      altered(inner, {
        async control(message) {
          const { confirmed, missing } = await inner.control(message);
          return { confirmed: [...confirmed, ...missing], missing: [] };
        },
      }),
    'keeps bans from nodes that start later': (inner) => {
      let started = false;
      const broker = listening(inner, (listener) => ({
        onControl: (message) => (started ? listener.onControl(message) : undefined),
      }));
      return altered(broker, {
        async start(listener, nodeId) {
          await broker.start(listener, nodeId);
          started = true;
        },
      });
    },
    'applies a record twice': (inner) =>
      listening(inner, (listener) => ({
        async onControl(message) {
          await listener.onControl(message);
          await listener.onControl(message);
        },
      })),
  },
  'life cycle': {
    'promises more than it declares': (inner) =>
      altered(inner, { capabilities: { ...inner.capabilities, durability: 'replicated' } }),
    'answers after `close`': (inner) =>
      altered(inner, {
        tips: (channels) =>
          inner.tips(channels).catch(() => channels.map(() => ({ epoch: 'closed', seq: 0 }))),
      }),
    'does not report that it is up': (inner) => listening(inner, () => ({ onState: () => undefined })),
  },
  faults: {
    'keeps its epoch when the log was lost': (inner) => {
      const epoch = 'forever';
      return altered(inner, {
        tips: async (channels) => (await inner.tips(channels)).map(({ seq }) => ({ epoch, seq })),
        async read({ epoch: _epoch, ...request }) {
          const { tip, ...result } = await inner.read(request);
          return { ...result, tip: { epoch, seq: tip.seq } };
        },
      });
    },
  },
};

/** The same broker with some of its methods replaced. */
function altered(inner: Broker, change: Partial<Broker>): Broker {
  return {
    name: inner.name,
    capabilities: inner.capabilities,
    presence: inner.presence,
    start: (listener, nodeId) => inner.start(listener, nodeId),
    appendMany: (requests) => inner.appendMany(requests),
    read: (request) => inner.read(request),
    tips: (channels) => inner.tips(channels),
    subscribe: (channel) => inner.subscribe(channel),
    unsubscribe: (channel) => inner.unsubscribe(channel),
    signal: (channel, message) => inner.signal(channel, message),
    control: (message) => inner.control(message),
    probe: (timeoutMs) => inner.probe(timeoutMs),
    close: () => inner.close(),
    ...change,
  };
}

function appending(inner: Broker, change: (request: AppendRequest) => AppendRequest): Broker {
  return altered(inner, { appendMany: (requests) => inner.appendMany(requests.map(change)) });
}

function withPolicy(inner: Broker, change: (policy: LogPolicy) => LogPolicy): Broker {
  return appending(inner, (request) => ({ ...request, policy: change(request.policy) }));
}

function reading(inner: Broker, change: (result: ReadResult) => ReadResult): Broker {
  return altered(inner, { read: async (request) => change(await inner.read(request)) });
}

function listening(inner: Broker, change: (listener: BrokerListener) => Partial<BrokerListener>): Broker {
  return altered(inner, {
    start: (listener, nodeId) =>
      inner.start(
        {
          onEvents: (channel, events) => listener.onEvents(channel, events),
          onSignal: (channel, signal) => listener.onSignal(channel, signal),
          onPresence: (channel, diff) => listener.onPresence(channel, diff),
          onControl: (message) => listener.onControl(message),
          onControlCurrent: (forMs) => listener.onControlCurrent(forMs),
          onControlLost: () => listener.onControlLost(),
          onState: (state, reason) => listener.onState(state, reason),
          ...change(listener),
        },
        nodeId,
      ),
  });
}

function presenting(inner: Broker, change: Partial<BrokerPresence>): Broker {
  const { enter, update, leave, renew, members } = inner.presence;
  return altered(inner, { presence: { enter, update, leave, renew, members, ...change } });
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
  return altered(inner, {
    async appendMany(requests) {
      const outcomes = await inner.appendMany(requests);
      for (const { event } of requests) {
        hidden.add(event.id);
        void settle().then(() => hidden.delete(event.id));
      }
      return outcomes;
    },
    async read(request) {
      const result = await inner.read(request);
      return { ...result, events: result.events.filter(({ id }) => !hidden.has(id)) };
    },
  });
}
