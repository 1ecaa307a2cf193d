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
    return Promise.resolve(this.store.apply({ kind: 'append', requests }));
  }

  read(request: ReadRequest): Promise<ReadResult> {
    return this.running.run(() => this.store.read(request));
  }

  erase({ channel, seqs }: EraseRequest): Promise<EraseResult> {
    return this.running.run(() => this.store.apply({ kind: 'erase', channel, seqs }));
  }

  tips(channels: readonly string[]): Promise<readonly Position[]> {
    return this.running.run(() => {
      this.store.advance();
      return channels.map((channel) => this.store.machine.positionOf(channel));
    });
  }

  subscribe(channel: string): Promise<Position> {
    return this.running.run((node) => {
      // Before it, as a listener that it calls may close the broker; where it is refused, there is nothing to unsubscribe.
      node.channels.add(channel);
      this.store.subscribe(channel, node);
      return this.store.machine.positionOf(channel);
    });
  }

  unsubscribe(channel: string): Promise<void> {
    return this.running.run((node) => {
      node.channels.delete(channel);
      this.store.unsubscribe(channel, node);
    });
  }

  signal(channel: string, signal: SignalMessage): Promise<void> {
    return this.running.run(() => this.store.signal(channel, signal));
  }
}
