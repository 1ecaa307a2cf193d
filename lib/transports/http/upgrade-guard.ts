import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';

/** A listener of an HTTP server's `'upgrade'` event. */
export type UpgradeListener = (req: IncomingMessage, socket: Duplex, head: Buffer) => unknown;

/**
 * A listener that stands in for another one. `listener` is what `removeListener` and `listeners()` compare and
 * show.
 */
interface Wrapper extends UpgradeListener {
  listener?: UpgradeListener;
}

/** What `EventEmitter` names the function that it keeps for `once`. */
const ONCE_WRAPPER = 'bound onceWrapper';

/**
 * Stands in front of somebody else's `'upgrade'` listener and keeps our upgrades from it: Node offers no way to
 * stop an event, and WsAdapter destroys the socket of every path it does not know.
 *
 * It wraps as `once` does, with the original in `listener`. So to its owner the listener is still there: `listeners()`
 * shows it and `removeListener` really removes it.
 */
export class UpgradeGuard {
  /** What is registered on the server in place of `original`. */
  readonly registered: UpgradeListener;

  constructor(
    server: Server,
    /** The listener as it was registered, a `once` wrapper included. */
    readonly original: UpgradeListener,
    isOurs: (req: IncomingMessage) => boolean,
  ) {
    const once = original.name === ONCE_WRAPPER;
    const registered: Wrapper = (req, socket, head) => {
      if (isOurs(req)) return undefined;
      // The wrapper of `once` would look for itself on the server, in vain.
      if (once) server.removeListener('upgrade', registered);
      return original.call(server, req, socket, head);
    };
    registered.listener = (original as Wrapper).listener ?? original;
    this.registered = registered;
  }
}
