import type { ThrottledLog } from '../async/throttled-log.js';
import type { Broker, BrokerBus } from '../ports/broker.js';
import type { Clock } from '../ports/clock.js';
import type { NodeLink } from '../ports/node-link.js';

/** How long it counts which nodes live. */
const CACHE_MS = 1_000;
/** Shortest time between two looks, also of those who may not trust an older one: clients cause them. */
const LOOK_PAUSE_MS = 100;

type Listener = Parameters<NodeLink['listen']>[1];

/** A look for the nodes that live. */
interface Look {
  /** On the monotonic clock: what it finds is as of this moment, or later. */
  readonly askedAt: number;
  readonly nodes: Promise<readonly string[]>;
}

/** The way to the other nodes, over the bus of the broker. */
export class BrokerNodeLink implements NodeLink {
  private readonly listeners = new Map<string, Set<Listener>>();
  private last: Look | undefined;
  /** The next look, which waits until the pause is over. */
  private next: Promise<readonly string[]> | undefined;

  constructor(
    readonly nodeId: string,
    private readonly bus: Required<BrokerBus>,
    private readonly clock: Clock,
    private readonly journal: Pick<ThrottledLog, 'error'>,
    readonly inProcess = false,
  ) {}

  alive(fresh = false): Promise<readonly string[]> {
    const now = this.clock.monotonic();
    const age = this.last === undefined ? Infinity : now - this.last.askedAt;
    if (this.last !== undefined && !fresh && age < CACHE_MS) return this.last.nodes;
    if (age >= LOOK_PAUSE_MS) return this.look(now);
    this.next ??= new Promise((resolve) => {
      this.clock.schedule(LOOK_PAUSE_MS - age, () => {
        this.next = undefined;
        resolve(this.look(this.clock.monotonic()));
      });
    });
    return this.next;
  }

  send(node: string, topic: string, bytes: Uint8Array): Promise<void> {
    return this.bus.send(node, topic, bytes);
  }

  listen(topic: string, listener: Listener): () => void {
    const listeners = this.listeners.get(topic) ?? new Set();
    this.listeners.set(topic, listeners.add(listener));
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.listeners.get(topic) === listeners) this.listeners.delete(topic);
    };
  }

  /** What came from a node. Never throws; what nobody listens to is dropped. */
  receive(fromNode: string, topic: string, bytes: Uint8Array): void {
    for (const listener of [...(this.listeners.get(topic) ?? [])]) {
      try {
        listener(fromNode, bytes);
      } catch (error) {
        this.journal.error('node_message', () => 'Handling a message of another node failed', error);
      }
    }
  }

  private look(askedAt: number): Promise<readonly string[]> {
    const ask = async (): Promise<readonly string[]> => this.bus.nodes();
    const look: Look = { askedAt, nodes: ask() };
    this.last = look;
    // What failed says nothing of the nodes: the next call asks again.
    look.nodes.catch(() => {
      if (this.last === look) this.last = undefined;
    });
    return look.nodes;
  }
}

/** @returns `undefined` where the broker has neither messages between nodes nor a list of them: then this node is alone. */
export function nodeLinkOf(
  { bus, capabilities }: Pick<Broker, 'bus' | 'capabilities'>,
  nodeId: string,
  clock: Clock,
  journal: Pick<ThrottledLog, 'error'>,
): BrokerNodeLink | undefined {
  if (bus.send === undefined || bus.nodes === undefined) return undefined;
  const inProcess = capabilities.durability === 'process';
  return new BrokerNodeLink(nodeId, bus as Required<BrokerBus>, clock, journal, inProcess);
}
