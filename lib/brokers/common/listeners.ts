import type { BrokerListener } from '../../core/ports/broker.js';

/** What a subscriber of a channel is notified of. */
export type ChannelListener = Pick<BrokerListener, 'onEvents'> &
  Partial<Pick<BrokerListener, 'onSignal' | 'onPresence'>>;

/**
 * Calls a listener, which must not throw. One that does has a bug that must be seen, but neither the publisher, whose append
 * succeeded, nor the other listeners may pay for it: the error is thrown outside all calls that are under way.
 */
export function guarded(call: () => void): void {
  try {
    call();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
