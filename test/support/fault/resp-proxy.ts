import type { Socket } from 'node:net';
import { READ } from '../../../lib/brokers/redis/scripts/read.js';
import { RespRelay } from './resp-relay.js';
import { stringsOf } from './resp.js';
import { stretched } from '../patience.js';

/** What becomes of one pub/sub message on its way to the node. */
export type MessageFate =
  | 'pass'
  | 'drop'
  | 'twice'
  /** After the next message of its channel, or after a while if none comes. */
  | 'swap'
  /** When {@link RespProxy.release} is called; what follows overtakes it. */
  | 'hold'
  /** After this many milliseconds; what follows overtakes it. */
  | { readonly delayMs: number };

/** A ranged read of a log that passed. */
export interface SeenRead {
  readonly channel: string;
  readonly from: number;
}

const SWAP_PATIENCE_MS = stretched(300);

/**
 * Stands between one node and Redis and mistreats pub/sub messages of application channels. Commands and answers pass
 * untouched; ranged reads are counted.
 */
export class RespProxy extends RespRelay {
  readonly reads: SeenRead[] = [];
  /** Messages of application channels that came by. */
  messages = 0;
  /** Decides; everything passes without it. */
  fate: ((channel: string, text: string) => MessageFate) | undefined;
  private readonly held: (() => void)[] = [];
  private readonly swapped = new Map<string, () => void>();

  static async start(targetPort: number): Promise<RespProxy> {
    return new RespProxy(await RespRelay.listen(), targetPort);
  }

  /** Lets pass what was held back. */
  release(): void {
    for (const send of this.held.splice(0)) send();
  }

  readsOf(channel: string): number {
    return this.reads.filter((read) => read.channel === channel).length;
  }

  protected onCommand(_node: Socket, frame: Buffer): void {
    const [name = '', script, , , stream = '', ...args] = stringsOf(frame) ?? [];
    // A script that the server does not know yet is sent once more as text: that is the same read.
    if (!/^evalsha$/i.test(name) || script !== READ.sha) return;
    const channel = channelOf(stream, 'l');
    // Its arguments are token, head, epoch, from …
    if (channel !== undefined) this.reads.push({ channel, from: Number(args[3]) });
  }

  protected onAnswer(node: Socket, frame: Buffer): void {
    const [kind, topic = '', text = ''] = stringsOf(frame) ?? [];
    const channel = kind === 'smessage' ? channelOf(topic, 'c') : undefined;
    const send = (): void => this.forward(node, frame);
    if (channel === undefined) return send();
    this.messages++;
    const fate = this.fate?.(channel, text) ?? 'pass';
    const earlier = this.swapped.get(channel);
    if (fate === 'drop') return;
    if (fate === 'hold') return void this.held.push(send);
    if (typeof fate === 'object') return void setTimeout(send, fate.delayMs);
    if (fate === 'swap' && earlier === undefined) return this.swap(channel, send);
    send();
    if (fate === 'twice') send();
    earlier?.();
  }

  private swap(channel: string, send: () => void): void {
    const release = (): void => {
      clearTimeout(timer);
      this.swapped.delete(channel);
      send();
    };
    const timer = setTimeout(release, SWAP_PATIENCE_MS);
    this.swapped.set(channel, release);
  }
}

/** The application's channel that a key or topic belongs to. */
function channelOf(key: string, kind: 'c' | 'l'): string | undefined {
  const found = /^\{[^}]*\}:v1:(\w+):(rooms\..+)$/.exec(key);
  return found?.[1] === kind ? found[2] : undefined;
}
