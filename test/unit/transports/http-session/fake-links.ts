import type { NodeLink } from '../../../../lib/core/ports/node-link.js';
import { RealtimeError } from '../../../../lib/protocol/realtime-error.js';

type Listener = Parameters<NodeLink['listen']>[1];

/** One message on its way. */
export interface Carried {
  readonly from: string;
  readonly to: string;
  readonly bytes: Uint8Array;
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
  private readonly listeners = new Map<string, Listener>();

  link(nodeId: string): NodeLink {
    this.live = [...this.live, nodeId];
    return {
      nodeId,
      alive: async () => {
        this.looks++;
        this.onLook();
        if (this.down) throw new RealtimeError('unavailable', 'away');
        return this.live;
      },
      send: async (to, _topic, bytes) => {
        if (this.down) throw new RealtimeError('unavailable', 'away');
        const message = { from: nodeId, to, bytes: Uint8Array.from(bytes) };
        if (this.refuse(message)) throw new RealtimeError('unavailable', 'full');
        this.sent.push(message);
        if (!this.lose(message)) this.deliver(message);
      },
      listen: (_topic, listener) => {
        this.listeners.set(nodeId, listener);
        return () => void this.listeners.delete(nodeId);
      },
    };
  }

  /** Hands a message to its node, also again, or one that a test made. */
  deliver({ from, to, bytes }: Carried): void {
    if (this.live.includes(to)) this.listeners.get(to)?.(from, bytes);
  }
}
