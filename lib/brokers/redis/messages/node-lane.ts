import type { NodeMessage } from '../../common/node-message.js';
import { sizeOf } from './batch-wire.js';

/** Most bytes that travel together; a single message that is larger travels alone. */
const MAX_BATCH_BYTES = 1024 * 1024;

interface Waiting {
  readonly message: NodeMessage;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * The way to one node. One publish is under way, and what is sent meanwhile travels together in the next: in a Cluster a
 * command that is redirected, or waits for the first connection to its server, could be overtaken by another.
 */
export class NodeLane {
  private waiting: Waiting[] = [];
  private sending = false;

  constructor(
    private readonly publish: (messages: readonly NodeMessage[]) => Promise<unknown>,
    /** Called when nothing is left. */
    private readonly onIdle: () => void,
  ) {}

  /** Resolves when the message was published, to whoever listens. */
  send(message: NodeMessage): Promise<void> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ message, resolve, reject });
      if (!this.sending) void this.run();
    });
  }

  private async run(): Promise<void> {
    this.sending = true;
    while (this.waiting.length > 0) {
      const batch = this.take();
      try {
        await this.publish(batch.map(({ message }) => message));
        for (const { resolve } of batch) resolve();
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.sending = false;
    this.onIdle();
  }

  private take(): readonly Waiting[] {
    let bytes = 0;
    const end = this.waiting.findIndex(
      ({ message }, index) => (bytes += sizeOf(message)) > MAX_BATCH_BYTES && index > 0,
    );
    return this.waiting.splice(0, end === -1 ? this.waiting.length : end);
  }
}
