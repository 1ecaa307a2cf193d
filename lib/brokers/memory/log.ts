import type {
  AppendOutcome,
  AppendRequest,
  BrokerLog,
  ReadRequest,
  ReadResult,
  SignalMessage,
} from '../../core/ports/broker.js';
import type { Position } from '../../protocol/position.js';
import type { MemoryChannel } from './channel.js';
import { idKey } from './dedupe.js';
import { notRunning, type RunningNode } from './node.js';
import type { MemoryStore } from './store.js';

/** The logs of a store, for one broker on it. */
export class MemoryLog implements BrokerLog {
  constructor(
    private readonly store: MemoryStore,
    private readonly running: RunningNode,
  ) {}

  appendMany(requests: readonly AppendRequest[]): Promise<readonly AppendOutcome[]> {
    // Not `running.run`: the hot path makes no closure.
    if (this.running.current === undefined) return Promise.reject(notRunning());
    const { clock, dispatcher } = this.store;
    const [now, monotonic] = [clock.now(), clock.monotonic()];
    const touched: MemoryChannel[] = [];
    const outcomes = requests.map((request) => this.append(request, now, monotonic, touched));
    // All batches are queued before the first is delivered: its listener may append to the channel of the next.
    for (const channel of touched) {
      const events = channel.pending;
      channel.pending = undefined;
      if (events !== undefined)
        dispatcher.enqueue(channel, (listener) => listener.onEvents(channel.name, events));
    }
    dispatcher.flush();
    return Promise.resolve(outcomes);
  }

  read(request: ReadRequest): Promise<ReadResult> {
    return this.running.run(() => {
      const now = this.store.clock.now();
      return this.store.open(request.channel, now).log.read(request, now);
    });
  }

  tips(channels: readonly string[]): Promise<readonly Position[]> {
    return this.running.run(() => {
      const now = this.store.clock.now();
      return channels.map((channel) => this.store.open(channel, now).log.position);
    });
  }

  subscribe(channel: string): Promise<Position> {
    return this.running.run((node) => {
      const found = this.store.subscribe(channel, node);
      node.channels.add(found);
      return found.log.position;
    });
  }

  unsubscribe(channel: string): Promise<void> {
    return this.running.run((node) => {
      const found = this.store.unsubscribe(channel, node);
      if (found !== undefined) node.channels.delete(found);
    });
  }

  signal(name: string, signal: SignalMessage): Promise<void> {
    return this.running.run(() => {
      const channel = this.store.find(name);
      if (channel === undefined || channel.subscribers.length === 0) return;
      this.store.dispatcher.enqueue(channel, (listener) => listener.onSignal?.(name, signal));
      this.store.dispatcher.flush();
    });
  }

  private append(
    request: AppendRequest,
    now: number,
    monotonic: number,
    touched: MemoryChannel[],
  ): AppendOutcome {
    const { channel: name, event: draft, policy, producer } = request;
    const channel = this.store.open(name, now);
    const { ids } = channel;
    ids.trim(now);
    const { dedupeMs } = policy;
    // Many channels remember no ids at all, and need no key.
    const key = ids.size > 0 || dedupeMs > 0 ? idKey(producer, draft.id) : '';
    const first = ids.find(key, now);
    if (first !== undefined) {
      return first.fingerprint === request.fingerprint
        ? { ok: true, position: first.position, duplicate: true }
        : { ok: false, code: 'conflict' };
    }
    if (request.after !== undefined && ids.find(idKey(producer, request.after), now) === undefined) {
      return { ok: false, code: 'out_of_order' };
    }
    if (dedupeMs > 0 && ids.isFull) return { ok: false, code: 'unavailable' };

    const event = channel.log.append(draft, policy, now, monotonic);
    const position: Position = { epoch: event.epoch, seq: event.seq };
    if (dedupeMs > 0) {
      ids.remember({ key, position, fingerprint: request.fingerprint, until: now + dedupeMs });
    }
    if (channel.subscribers.length > 0) {
      if (channel.pending === undefined) {
        channel.pending = [];
        touched.push(channel);
      }
      channel.pending.push(event);
    }
    return { ok: true, position, duplicate: false };
  }
}
