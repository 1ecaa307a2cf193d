import type { AppendOutcome, AppendRequest } from '../../../core/ports/broker.js';
import type { RedisCommands } from '../connection/commands.js';
import { commandError, detailOf, notRunning, refusalForClients } from '../errors.js';
import type { RedisKeys } from '../keys.js';
import { MAX_MESSAGE_BYTES, TOO_LARGE, type RedisSettings } from '../settings.js';
import { encodeBody } from '../wire.js';
import { AppendCall } from './batch.js';
import { IdShares } from './id-shares.js';
import { AppendLane } from './lane.js';

/**
 * Appends of this node. A single server gets all of them in one lane, whatever their partition: fewer and larger script
 * calls. In a Cluster each partition has its own lane with one call under way, as a redirected call could be overtaken.
 */
export class RedisAppends {
  private readonly lanes = new Map<number, AppendLane>();
  private readonly shares: IdShares;
  private queued = 0;
  private queuedBytes = 0;
  private onIdle: (() => void) | undefined;
  private closed = false;
  private lastFailure: string | undefined;

  constructor(
    private readonly commands: RedisCommands,
    private readonly keys: RedisKeys,
    private readonly settings: RedisSettings,
  ) {
    this.shares = new IdShares(settings.clock, settings.maxIdsPerProducer);
  }

  /** Why the last append failed, in the words of the server where it gave some; `undefined` when it succeeded. */
  get failure(): string | undefined {
    return this.lastFailure;
  }

  append(requests: readonly AppendRequest[]): Promise<readonly AppendOutcome[]> {
    if (this.closed || !this.commands.running) return Promise.reject(notRunning());
    if (requests.length === 0) return Promise.resolve([]);
    const call = new AppendCall(requests.length);
    // Of a Cluster only some servers may be away.
    const usable = this.commands.clustered || this.commands.trouble === undefined;
    requests.forEach((request, index) => {
      const body = usable ? bodyOf(request) : undefined;
      const bytes = Buffer.byteLength(body ?? '');
      if (bytes > MAX_MESSAGE_BYTES) {
        call.settle(index, { ok: false, code: 'message_too_large', message: TOO_LARGE });
        return;
      }
      if (body === undefined || this.isFull(bytes)) {
        const message = usable ? undefined : refusalForClients(this.commands.refusedAs);
        call.settle(index, { ok: false, code: 'unavailable', ...(message === undefined ? {} : { message }) });
        return;
      }
      const share = this.shares.take(request);
      // What is sent only to be recognized needs no content.
      const sent = typeof share === 'number' ? { body: '', bytes: 0 } : { body, bytes };
      this.queued += 1;
      this.queuedBytes += sent.bytes;
      this.laneOf(request.channel).push({ request, ...sent, share, call, index });
    });
    return call.result;
  }

  /** Accepts no more appends. Resolves when all that were accepted have their outcome. */
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
      lane = new AppendLane(
        partition,
        depth,
        this.commands,
        this.keys,
        this.settings,
        (count, bytes) => {
          this.queued -= count;
          this.queuedBytes -= bytes;
          if (this.queued === 0) this.onIdle?.();
        },
        (error) => (this.lastFailure = error === undefined ? undefined : detailOf(commandError(error))),
      );
      this.lanes.set(partition, lane);
    }
    return lane;
  }
}

/** `undefined` for what JSON cannot hold (a cycle, a BigInt): it fails its own append, and no other. */
function bodyOf(request: AppendRequest): string | undefined {
  try {
    return encodeBody(request.event);
  } catch {
    return undefined;
  }
}
