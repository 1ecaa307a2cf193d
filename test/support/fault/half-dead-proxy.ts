import type { Socket } from 'node:net';
import { RespRelay } from './resp-relay.js';
import { stringsOf } from './resp.js';

/** One connection of the node. */
interface Path {
  /** As it called itself. */
  readonly name: string;
  /** Answers that were not let through. */
  readonly held: Buffer[];
}

/**
 * Stands between one node and Redis, and can let the way of the control records die while events go on: connections for
 * commands are not answered, and the messages of control records are lost. That is what a half-open connection beside a
 * subscription that was away for a moment looks like.
 */
export class HalfDeadProxy extends RespRelay {
  /** Messages of control records that were lost. */
  lost = 0;
  private isCut = false;
  private readonly paths = new Map<Socket, Path>();

  static async start(targetPort: number): Promise<HalfDeadProxy> {
    return new HalfDeadProxy(await RespRelay.listen(), targetPort);
  }

  cut(): void {
    this.isCut = true;
  }

  /** What was asked meanwhile is answered, late. */
  mend(): void {
    this.isCut = false;
    for (const [node, { held }] of this.paths) for (const frame of held.splice(0)) this.forward(node, frame);
  }

  protected onCommand(node: Socket, frame: Buffer): void {
    const [command = '', verb = '', name = ''] = stringsOf(frame) ?? [];
    if (/^client$/i.test(command) && /^setname$/i.test(verb)) this.paths.set(node, { name, held: [] });
  }

  protected onAnswer(node: Socket, frame: Buffer): void {
    if (!this.isCut) return this.forward(node, frame);
    const path = this.paths.get(node);
    if (path?.name.endsWith('-commands') === true) return void path.held.push(frame);
    const [kind, topic = ''] = stringsOf(frame) ?? [];
    if (kind !== 'smessage' || !topic.endsWith(':c:$rt.control')) return this.forward(node, frame);
    this.lost++;
  }

  protected override onClosed(node: Socket): void {
    this.paths.delete(node);
  }
}
