import type { NodeLink } from '../../../../lib/core/ports/node-link.js';
import { RealtimeError } from '../../../../lib/protocol/realtime-error.js';

type Listener = Parameters<NodeLink['listen']>[1];

/** One message on its way. */
export interface Carried {
  readonly from: string;
  readonly to: string;
  readonly bytes: Uint8Array;
  /** Default: of every topic. */
  readonly topic?: string;
}

/** Ways between nodes that a test can cut, and look at. Messages arrive at once, unless `lose` says otherwise. */
export class FakeLinks {
  /** What was sent, in order, also what was lost. */
  readonly sent: Carried[] = [];
  live: readonly string[] = [];
  /** Whether nothing can be sent, nor asked for. */
  down = false;
  lose: (message: Carried) => boolean = () => false;
  /** What finds no room. */
  refuse: (message: Carried) => boolean = () => false;
  /** How often the live nodes were asked for. */
  looks = 0;
  /** Called with each look, before it is answered. */
  onLook: () => void = () => undefined;
  private readonly listeners = new Map<string, Map<string, Listener>>();

  link(nodeId: string): NodeLink {
    this.live = [...new Set([...this.live, nodeId])];
    const own = this.listeners.get(nodeId) ?? new Map<string, Listener>();
    this.listeners.set(nodeId, own);
    return {
      nodeId,
      inProcess: false,
      alive: async () => {
        this.looks++;
        this.onLook();
        if (this.down) throw new RealtimeError('unavailable', 'away');
        return this.live;
      },
      send: async (to, topic, bytes) => {
        if (this.down) throw new RealtimeError('unavailable', 'away');
        const message = { from: nodeId, to, bytes: Uint8Array.from(bytes), topic };
        if (this.refuse(message)) throw new RealtimeError('unavailable', 'full');
        this.sent.push(message);
        if (!this.lose(message)) this.deliver(message);
      },
      listen: (topic, listener) => {
        own.set(topic, listener);
        return () => void own.delete(topic);
      },
    };
  }

  /** Hands a message to its node, also again, or one that a test made. */
  deliver({ from, to, bytes, topic }: Carried): void {
    if (!this.live.includes(to)) return;
    for (const [of, listener] of this.listeners.get(to) ?? [])
      if (topic === undefined || topic === of) listener(from, bytes);
  }
}
