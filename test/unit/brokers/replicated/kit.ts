import { RecordingListener } from '../../../../lib/brokers/contract/index.js';
import { ReplicatedBroker } from '../../../../lib/brokers/replicated/broker.js';
import type { OrderedLog } from '../../../../lib/brokers/replicated/ordered-log.js';
import type { ReplicatedOptions } from '../../../../lib/brokers/replicated/settings.js';
import type { Clock } from '../../../../lib/core/ports/clock.js';
import { ManualClock, settle } from '../../../support/engine/manual-clock.js';
import { SeededEntropy } from '../../../support/engine/seeded-entropy.js';
import type { MemoryOrderedLog } from '../../../support/ordered-log/memory-log.js';
import { MemoryLogServer } from '../../../support/ordered-log/memory-server.js';

const PARTITIONS = 2;

/** A node of a {@link Deployment}. */
export interface TestNode {
  readonly id: string;
  readonly broker: ReplicatedBroker;
  readonly seen: RecordingListener;
  /** Why it was not up, in turn. */
  readonly reasons: string[];
  readonly log: MemoryOrderedLog;
}

/** Nodes over one log in memory, on a clock that the test moves. */
export class Deployment {
  readonly clock = new ManualClock();
  readonly server: MemoryLogServer;
  private made = 0;

  constructor(detectsCuts: 'log' | 'readers' = 'log') {
    const serverClock: Clock = {
      now: () => 1_767_225_600_000 + this.clock.monotonic(),
      monotonic: () => this.clock.monotonic(),
      schedule: (ms, task) => this.clock.schedule(ms, task),
    };
    this.server = new MemoryLogServer({ clock: serverClock, partitions: PARTITIONS, detectsCuts });
  }

  /** Starts a node. @param wrap what it gets for the log, e.g. one whose answers the test holds back */
  async node(
    options: ReplicatedOptions = {},
    wrap: (log: MemoryOrderedLog) => OrderedLog = (log) => log,
  ): Promise<TestNode> {
    const log = this.server.open();
    this.made += 1;
    const broker = new ReplicatedBroker(
      { name: 'replicated', durability: 'broker', partitions: PARTITIONS, open: async () => wrap(log) },
      { clock: this.clock, entropy: new SeededEntropy(this.made), ...options },
    );
    const seen = new RecordingListener();
    const reasons: string[] = [];
    const onState = seen.onState.bind(seen);
    seen.onState = (state, reason?: string) => {
      if (reason !== undefined) reasons.push(reason);
      onState(state);
    };
    const node = { id: `n${this.made}`, broker, seen, reasons, log };
    await this.answer(broker.start(seen, node.id));
    return node;
  }

  /** Moves time on, and lets what was promised happen. */
  async pass(ms: number): Promise<void> {
    await this.clock.advanceAsync(ms);
    for (let turn = 0; turn < 10; turn += 1) await settle();
  }

  /** Moves time on in steps, so that what is repeated is repeated. */
  async live(ms: number, step = 250): Promise<void> {
    for (let left = ms; left > 0; left -= step) await this.pass(Math.min(step, left));
  }

  /** Waits for a call while time passes, at most a minute. */
  async answer<T>(call: Promise<T>): Promise<T> {
    let settled = false;
    const result = call.finally(() => (settled = true));
    result.catch(() => undefined);
    for (let turn = 0; turn < 240 && !settled; turn += 1) await this.pass(turn < 5 ? 0 : 250);
    if (!settled) throw new Error('A call got no answer');
    return result;
  }
}

/** A log whose appends are answered when the test lets them. */
export function withHeldAnswers(log: MemoryOrderedLog): {
  readonly log: OrderedLog;
  hold(): void;
  release(): void;
} {
  let gate: Promise<void> | undefined;
  let open: () => void = () => undefined;
  const held = new Proxy<OrderedLog>(log, {
    get(target, name) {
      if (name === 'append')
        return async (...args: Parameters<OrderedLog['append']>) => {
          const result = await target.append(...args);
          await gate;
          return result;
        };
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
  return {
    log: held,
    hold: () => void (gate = new Promise((resolve) => (open = resolve))),
    release: () => {
      gate = undefined;
      open();
    },
  };
}
