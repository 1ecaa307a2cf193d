import { ThrottledLog } from '../../../core/async/throttled-log.js';
import type { BrokerListener } from '../../../core/ports/broker.js';
import { RealtimeError } from '../../../protocol/realtime-error.js';
import { guarded } from '../../common/listeners.js';
import { assertNodeMessage, type NodeMessage } from '../../common/node-message.js';
import type { RedisCommands } from '../connection/commands.js';
import { notRunning } from '../errors.js';
import type { RedisKeys } from '../keys.js';
import type { RedisSettings } from '../settings.js';
import { decodeBatch, encodeBatch, sizeOf } from './batch-wire.js';
import { NodeLane } from './node-lane.js';

/** What a message that waits counts beside its bytes: the objects that hold it. */
const MESSAGE_COST = 256;
/** Most bytes of a message that may use {@link RESERVE_BYTES}: enough to say that there is no room. */
const SMALL_BYTES = 4 * 1024;
/** Room above `maxMessageQueueBytes` for small messages. */
const RESERVE_BYTES = 1024 * 1024;
/** Advice to what is refused for lack of room, in milliseconds. */
const RETRY_AFTER_MS = 1_000;

/** What goes from node to node: each has a topic of pub/sub of its own. Nothing is stored. */
export class NodeMessages {
  private node: string | undefined;
  private listener: BrokerListener | undefined;
  private journal: ThrottledLog | undefined;
  private readonly lanes = new Map<string, NodeLane>();
  /** Bytes that were not published yet, with what holds them. */
  private outstanding = 0;
  /** Called when nothing is outstanding any more. */
  private onDrained: (() => void) | undefined;

  constructor(
    private readonly commands: RedisCommands,
    private readonly keys: RedisKeys,
    private readonly settings: RedisSettings,
  ) {}

  start(node: string, listener: BrokerListener): void {
    this.node = node;
    this.listener = listener;
    const nothing = (): void => undefined;
    const warn = (message: string): void => guarded(() => listener.onWarning?.(message));
    this.journal = new ThrottledLog({ warn, debug: nothing, error: nothing }, this.settings.clock);
  }

  /**
   * Resolves when Redis has handed the message on. Messages of this node to another arrive in the order of the calls.
   *
   * @throws RealtimeError `message_too_large`; `unavailable` where too much waits already; `unavailable` or `timeout` of Redis.
   */
  async send(node: string, topic: string, bytes: Uint8Array): Promise<void> {
    if (this.node === undefined) throw notRunning();
    const message: NodeMessage = { topic, bytes };
    assertNodeMessage(message);
    const size = sizeOf(message) + MESSAGE_COST;
    const { maxMessageQueueBytes: max } = this.settings;
    const room = size <= SMALL_BYTES ? max + RESERVE_BYTES : max;
    if (this.outstanding > 0 && this.outstanding + size > room) throw this.full(max);
    this.outstanding += size;
    try {
      await this.laneOf(node).send(message);
    } finally {
      this.outstanding -= size;
      if (this.outstanding === 0) this.onDrained?.();
    }
  }

  /** What came on the topic of this node. Never throws: any program may publish there. */
  receive(received: Buffer): void {
    const batch = decodeBatch(received);
    if (batch === undefined) {
      this.journal?.warn(
        'unreadable',
        () => 'redisBroker: a message from another node was dropped, as this version cannot read it',
      );
      return;
    }
    for (const { topic, bytes } of batch.messages)
      guarded(() => this.listener?.onMessage?.(batch.from, topic, bytes));
  }

  /** This node hears the others again, and did not for a while. */
  onRestored(): void {
    this.journal?.warn(
      'restored',
      () =>
        'redisBroker: the connection for messages from other nodes was lost and is back; some of them may be missing. Events are not: ' +
        'they have a connection of their own. Where Redis has cut it for its `client-output-buffer-limit pubsub`, requests of HTTP ' +
        'sessions brought more than this node could read',
    );
  }

  /** Takes no more, drops what comes, and resolves when what was accepted is published, or could not be. */
  async close(): Promise<void> {
    this.node = undefined;
    this.listener = undefined;
    if (this.outstanding > 0) await new Promise<void>((resolve) => (this.onDrained = resolve));
  }

  private laneOf(node: string): NodeLane {
    let lane = this.lanes.get(node);
    if (lane === undefined) {
      const from = this.node ?? '';
      const topic = this.keys.messagesTo(node);
      const partition = this.keys.partitionOfNode(node);
      lane = new NodeLane(
        (messages) => this.commands.command(partition, 'spublish', [topic, encodeBatch({ from, messages })]),
        () => this.lanes.delete(node),
      );
      this.lanes.set(node, lane);
    }
    return lane;
  }

  private full(max: number): RealtimeError {
    const problem = `more than \`maxMessageQueueBytes\` (${max} bytes) wait to be sent to other nodes`;
    this.journal?.warn(
      'full',
      () =>
        `redisBroker: a message to another node was refused, as ${problem}. Redis is slower than what is sent: raise the option, or ` +
        'add nodes',
    );
    return new RealtimeError('unavailable', `Too much waits for Redis: ${problem}`, {
      retryAfterMs: RETRY_AFTER_MS,
    });
  }
}
