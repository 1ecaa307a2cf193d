import type { Position } from '../../../lib/protocol/position.js';
import type {
  HistoryAnswer,
  HistoryGap,
  PublishRecord,
  StreamHistory,
  StreamRecord,
} from './history-types.js';

/** Keeps what publishers did and clients were told, with monotonic times, for the checker. */
export class HistoryRecorder {
  readonly publishes = new Map<string, PublishRecord>();
  readonly streams = new Map<string, StreamHistory>();

  constructor(private readonly now: () => number = () => performance.now()) {}

  /** @throws Error for an id that was published before: the checker could tell nothing then. */
  invoke(publisher: string, channel: string, id: string): void {
    if (this.publishes.has(id)) throw new Error(`The id ${id} was published before`);
    this.publishes.set(id, { id, channel, publisher, invokedAt: this.now(), outcome: undefined });
  }

  acknowledged(id: string, { epoch, seq }: Position): void {
    this.publishOf(id).outcome = { kind: 'acknowledged', at: this.now(), position: { epoch, seq } };
  }

  unknown(id: string, code: string): void {
    this.publishOf(id).outcome = { kind: 'unknown', at: this.now(), code };
  }

  refused(id: string, code: string): void {
    this.publishOf(id).outcome = { kind: 'refused', at: this.now(), code };
  }

  /** The answer to `subscribe`. */
  answer(client: string, channel: string, answer: HistoryAnswer): void {
    this.add(client, channel, { kind: 'answer', at: this.now(), answer });
  }

  /** `reset` of a live subscription. */
  reset(client: string, channel: string, answer: HistoryAnswer): void {
    this.add(client, channel, { kind: 'reset', at: this.now(), answer });
  }

  deliver(client: string, channel: string, event: Position & { readonly id: string }): void {
    const { epoch, seq, id } = event;
    this.add(client, channel, { kind: 'event', at: this.now(), epoch, seq, id });
  }

  gap(client: string, channel: string, epoch: string, gap: HistoryGap): void {
    this.add(client, channel, { kind: 'gap', at: this.now(), epoch, gap });
  }

  private publishOf(id: string): PublishRecord {
    const found = this.publishes.get(id);
    if (found === undefined) throw new Error(`The id ${id} was never published`);
    return found;
  }

  private add(client: string, channel: string, record: StreamRecord): void {
    const key = `${client} ${channel}`;
    let stream = this.streams.get(key);
    if (stream === undefined) this.streams.set(key, (stream = { client, channel, records: [] }));
    stream.records.push(record);
  }
}
