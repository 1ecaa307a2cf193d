import type { ClientClock } from '../clock.js';
import { recordOf } from '../received.js';
import type { OpenTransport, Transport, TransportEvents } from '../transport/websocket.js';
import type { Blame } from './session.js';

/** Parts of `connectTimeoutMs`: until the socket is open, and until the first message. */
const OPEN_PART = 0.5;
const WELCOME_PART = 0.85;
/** Codes that a browser or a proxy makes; those of the server are 4000 and above. */
const SERVER_CODES = 4_000;

/** What a watched WebSocket needs. */
export interface SocketRungDeps {
  readonly open: OpenTransport;
  readonly clock: ClientClock;
  readonly connectTimeoutMs: number;
  /** Asks whether the server answers other requests. */
  readonly isThere: (url: string) => Promise<boolean>;
  /** The first message came. */
  readonly onWorks: () => void;
  /** Nothing is reported of a socket that did not open: about that one the client asks the server. */
  readonly onFailure: (blame: Blame) => void;
  /** The page's policy forbids WebSockets to this server. */
  readonly onBlocked: () => void;
  /** Nothing follows, but what the page's policy tells: `unwatch` ends that. */
  readonly onEnd: (unwatch: () => void) => void;
}

/**
 * Opens a WebSocket and watches whether it works: some networks never answer an upgrade, and some open it and pass nothing on. Either
 * ends the attempt early, so that the server is asked while the attempt is not over for the client.
 */
export function openSocket(
  deps: SocketRungDeps,
  url: string,
  protocols: readonly string[],
  events: TransportEvents,
): Transport {
  const { clock, connectTimeoutMs, isThere, onFailure } = deps;
  let phase: 'opening' | 'silent' | 'works' | 'ended' = 'opening';
  let timer = clock.schedule(connectTimeoutMs * OPEN_PART, () => {
    transport.close(1000, '');
    // The client asks the server why.
    end(1006, '', 'No WebSocket opened in time');
  });
  let hasOpened = false;
  let isClosing = false;
  const unwatch = watchPolicy(url, () => {
    if (!hasOpened) deps.onBlocked();
  });

  function silent(): void {
    void isThere(url).then((proof) => {
      if (phase !== 'silent' || !proof) return;
      onFailure('broken');
      transport.close(1000, '');
      end(1006, '', 'The WebSocket opened, and passes nothing on');
    });
  }

  function end(code: number, reason: string, failure?: string): void {
    if (phase === 'ended') return;
    phase = 'ended';
    timer.cancel();
    // After `close` another attempt may be under way.
    if (!isClosing) deps.onEnd(unwatch);
    events.closed(code, reason, failure);
  }

  const transport = deps.open(url, protocols, {
    opened(protocol) {
      if (phase !== 'opening') return;
      phase = 'silent';
      hasOpened = true;
      unwatch();
      timer.cancel();
      timer = clock.schedule(connectTimeoutMs * (WELCOME_PART - OPEN_PART), silent);
      events.opened(protocol);
    },
    frame(frame) {
      if (phase === 'ended') return;
      if (phase === 'silent') {
        timer.cancel();
        deps.onWorks();
      }
      phase = 'works';
      events.frame(frame);
    },
    closed(code, reason, failure) {
      if (phase !== 'silent' || isClosing || code >= SERVER_CODES) return end(code, reason, failure);
      // Opened, and cut before a word: by the server, or by something that does not understand WebSocket.
      timer.cancel();
      void isThere(url).then((proof) => {
        if (phase === 'ended') return;
        onFailure(proof ? 'broken' : 'unproven');
        end(code, reason, failure);
      });
    },
  });
  return {
    send: (frame) => transport.send(frame),
    close(code, reason) {
      timer.cancel();
      unwatch();
      if (!isClosing && phase !== 'ended') deps.onEnd(unwatch);
      isClosing = true;
      transport.close(code, reason);
    },
  };
}

/** Calls `onBlocked` when the page's Content-Security-Policy forbids this URL. @returns Ends the watch. */
function watchPolicy(url: string, onBlocked: () => void): () => void {
  const { document } = globalThis as { document?: EventTarget };
  const target = (document ?? globalThis) as Partial<EventTarget>;
  const listener = (event: unknown): void => {
    const { blockedURI, disposition } = recordOf(event);
    // A policy that is only tried out blocks nothing.
    if (disposition === 'report' || typeof blockedURI !== 'string' || blockedURI === '') return;
    if (url.startsWith(blockedURI.replace(/\/$/, ''))) onBlocked();
  };
  target.addEventListener?.('securitypolicyviolation', listener);
  return () => target.removeEventListener?.('securitypolicyviolation', listener);
}
