import type {
  Broker,
  BrokerBus,
  BrokerListener,
  BrokerLog,
  BrokerPresence,
} from '../../../lib/brokers/broker.js';

/** What is replaced of a broker, each port method by method. */
export interface BrokerChange extends Partial<Omit<Broker, 'log' | 'presence' | 'bus'>> {
  readonly log?: Partial<BrokerLog>;
  readonly presence?: Partial<BrokerPresence>;
  readonly bus?: Partial<BrokerBus>;
}

/** The same broker with some of its methods replaced. More can be replaced later, by assigning them. */
export function alteredBroker(inner: Broker, { log, presence, bus, ...change }: BrokerChange): Broker {
  return overlay(inner, {
    ...change,
    log: overlay(inner.log, log),
    presence: overlay(inner.presence, presence),
    bus: overlay(inner.bus, bus),
  });
}

/** The same listener with some of its methods replaced. */
export function alteredListener(inner: BrokerListener, change: Partial<BrokerListener>): BrokerListener {
  return overlay(inner, change);
}

function overlay<T extends object>(inner: T, change: Partial<T> = {}): T {
  return new Proxy(inner, {
    set: (_target, key, value) => Reflect.set(change, key, value),
    get(target, key) {
      if (Object.hasOwn(change, key)) return Reflect.get(change, key) as unknown;
      const value = Reflect.get(target, key) as unknown;
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}
