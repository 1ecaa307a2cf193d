import type { AppendOutcome, AppendRequest } from '../../../core/ports/broker.js';
import type { RedisCommands } from '../connection/commands.js';
import { notRunning } from '../errors.js';
import type { RedisKeys } from '../keys.js';
import type { RedisSettings } from '../settings.js';
import { encodeEvent } from '../wire.js';
import { AppendLane } from './lane.js';
import { AppendCall, fail } from './pending.js';

/**
 * Appends of this node. One server takes everything in one lane, whatever its partition: fewer and larger script calls.
 * In a Cluster each partition has its own, with one call under way, for a redirected call could be overtaken.
 */
export class RedisAppends {
  private readonly lanes = new Map<number, AppendLane>();
  private queued = 0;
  private queuedBytes = 0;
  private onIdle: (() => void) | undefined;
  private closed = false;

  constructor(
    private readonly commands: RedisCommands,
    private readonly keys: RedisKeys,
    private readonly settings: RedisSettings,
  ) {}

  append(requests: readonly AppendRequest[]): Promise<readonly AppendOutcome[]> {
    if (this.closed || !this.commands.isRunning) return Promise.reject(notRunning());
    if (requests.length === 0) return Promise.resolve([]);
    const call = new AppendCall(requests.length);
    const away = this.commands.clustered ? undefined : this.commands.trouble;
    requests.forEach((request, index) => {
      const body = away === undefined ? bodyOf(request) : undefined;
      const pending = { request, body: body ?? '', bytes: body?.length ?? 0, call, index };
      if (body === undefined || this.isFull(pending.bytes)) {
        fail(pending, 'unavailable');
        return;
      }
      this.queued += 1;
      this.queuedBytes += pending.bytes;
      this.laneOf(request.channel).push(pending);
    });
    return call.result;
  }

  /** Takes no more. Resolves when everything that was accepted has its outcome. */
  async close(): Promise<void> {
    this.closed = true;
    if (this.queued === 0) return;
    await new Promise<void>((resolve) => {
      this.onIdle = resolve;
      for (const lane of this.lanes.values()) lane.flush();
    });
  }

  private isFull(bytes: number): boolean {
    const { maxQueued, maxQueuedBytes } = this.settings;
    return this.queued >= maxQueued || (this.queued > 0 && this.queuedBytes + bytes > maxQueuedBytes);
  }

  private laneOf(channel: string): AppendLane {
    const { clustered } = this.commands;
    const partition = clustered ? this.keys.partitionOf(channel) : 0;
    let lane = this.lanes.get(partition);
    if (lane === undefined) {
      const depth = clustered ? 1 : this.settings.pipelineDepth;
      lane = new AppendLane(partition, depth, this.commands, this.keys, this.settings, (count, bytes) => {
        this.queued -= count;
        this.queuedBytes -= bytes;
        if (this.queued === 0) this.onIdle?.();
      });
      this.lanes.set(partition, lane);
    }
    return lane;
  }
}

/** What cannot be written at all (a cycle, a BigInt) fails its own append, and nobody else's. */
function bodyOf(request: AppendRequest): string | undefined {
  try {
    return encodeEvent(request.event);
  } catch {
    return undefined;
  }
}
