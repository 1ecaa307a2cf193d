import type { Socket } from 'node:net';
import { RespRelay } from './resp-relay.js';
import { stringsOf } from './resp.js';

/** Stands between one node and Redis, and can lose every message of a subscription while all commands are answered. */
export class DeafProxy extends RespRelay {
  /** Whether messages are lost now. */
  deaf = false;

  static async start(targetPort: number): Promise<DeafProxy> {
    return new DeafProxy(await RespRelay.listen(), targetPort);
  }

  protected onCommand(): void {
    // All pass.
  }

  protected onAnswer(node: Socket, frame: Buffer): void {
    const [kind] = this.deaf ? (stringsOf(frame) ?? []) : [];
    if (kind !== 'smessage') this.forward(node, frame);
  }
}
