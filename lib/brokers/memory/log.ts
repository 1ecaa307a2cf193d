import type {
  AppendOutcome,
  AppendRequest,
  BrokerLog,
  EraseResult,
  ReadRequest,
  ReadResult,
  SignalMessage,
} from '../../core/ports/broker.js';
import type { EraseRequest } from '../../core/ports/erasure.js';
import type { Position } from '../../protocol/position.js';
import type { ChannelListener } from '../common/listeners.js';
import { channelBytes, type MemoryChannel } from './channel.js';
import { idKey } from './ids.js';
import { full, FULL_RETRY_MS, FULL_TEXT, notRunning, type RunningNode } from './node.js';
import type { MemoryStore } from './store.js';

const CONFLICT: AppendOutcome = { ok: false, code: 'conflict' };
const OUT_OF_ORDER: AppendOutcome = { ok: false, code: 'out_of_order' };
const FULL: AppendOutcome = {
  ok: false,
  code: 'unavailable',
  retryAfterMs: FULL_RETRY_MS,
  message: FULL_TEXT,
};
const TOO_MANY_IDS = 'Too many of your publishes are still remembered for their retries; try again later';

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
    const now = this.store.advance();
    const ts = clock.now();
    const touched: MemoryChannel[] = [];
    const outcomes = requests.map((request) => this.append(request, ts, now, touched));
    // All batches are queued before the first is delivered: its listener may append to the channel of the next.
    const [first] = touched;
    if (first !== undefined && touched.length === 1) {
      dispatcher.notify(first, takePending(first));
      return Promise.resolve(outcomes);
    }
    for (const channel of touched) dispatcher.enqueue(channel, takePending(channel));
    dispatcher.flush();
    return Promise.resolve(outcomes);
  }

  read(request: ReadRequest): Promise<ReadResult> {
    return this.running.run(() => this.store.read(request));
  }

  erase({ channel, seqs }: EraseRequest): Promise<EraseResult> {
    return this.running.run(() => {
      this.store.advance();
      const log = this.store.find(channel)?.log;
      const kept = seqs.filter((seq) => log?.erase(seq) === true);
      return { tip: this.store.positionOf(channel), seqs: kept };
    });
  }

  tips(channels: readonly string[]): Promise<readonly Position[]> {
    return this.running.run(() => {
      this.store.advance();
      return channels.map((channel) => this.store.positionOf(channel));
    });
  }

  subscribe(name: string): Promise<Position> {
    return this.running.run((node) => {
      const { store } = this;
      store.advance();
      const isNew = store.find(name) === undefined;
      const isFull = isNew && !store.reserve(channelBytes(name));
      const channel = isFull ? undefined : store.subscribe(name, node);
      store.dispatcher.flush();
      if (channel === undefined) throw full();
      node.channels.add(channel);
      return channel.log.position;
    });
  }

  unsubscribe(channel: string): Promise<void> {
    return this.running.run((node) => {
      const found = this.store.unsubscribe(channel, node);
      if (found !== undefined) node.channels.delete(found);
      this.store.dispatcher.flush();
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

  private append(request: AppendRequest, ts: number, now: number, touched: MemoryChannel[]): AppendOutcome {
    const { store } = this;
    const { ids } = store;
    const { channel: name, policy, fingerprint, after } = request;
    const { dedupeMs } = policy;
    const known = store.find(name);
    const remembers = dedupeMs > 0;
    // Many channels remember no ids at all, and need no key.
    const knows = known !== undefined && known.ids.size > 0;
    const key = knows || remembers ? idKey(request.producer, request.event.id) : '';
    if (knows) {
      const first = known.ids.find(key);
      if (first !== undefined) {
        return first.fingerprint === fingerprint
          ? { ok: true, position: { epoch: first.epoch, seq: first.seq }, duplicate: true }
          : CONFLICT;
      }
    }
    if (after !== undefined && known?.ids.find(idKey(request.producer, after)) === undefined)
      return OUT_OF_ORDER;

    let reserved = known === undefined ? channelBytes(name) : 0;
    const producer = remembers ? ids.producer(request.producer) : undefined;
    if (producer !== undefined) {
      const cost = ids.cost(producer, key, fingerprint, dedupeMs);
      if (!ids.admits(producer, cost)) {
        store.refused();
        const retryAfterMs = ids.retryAfter(producer, now);
        return { ok: false, code: 'rate_limited', retryAfterMs, message: TOO_MANY_IDS };
      }
      reserved += cost;
    }
    if (reserved > 0 && !store.reserve(reserved, known)) return FULL;

    const channel = known ?? store.open(name);
    const event = channel.log.append(request, ts, now);
    const position: Position = { epoch: event.epoch, seq: event.seq };
    if (producer !== undefined) {
      ids.remember(channel.ids, key, producer, fingerprint, position, now, dedupeMs);
    }
    store.appended(channel, now);
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

/** The notification of the events that the running append made in a channel. */
function takePending(channel: MemoryChannel): (listener: ChannelListener) => void {
  const { name, pending: events = [] } = channel;
  channel.pending = undefined;
  return (listener) => listener.onEvents(name, events);
}
