import { serve, settings } from '../support/server-side.mjs';

// A process of the publishing scenario: the one that publishes, or a node that is told what was published.
let peer;
/** Messages that arrived and were not asked for yet. */
let arrived = 0;
let onArrived = () => undefined;
/** After this long what has not arrived is lost. */
const PATIENCE_MS = 60_000;

await serve(
  async () => {
    const { open } = await import(`./peers/${settings.peer}.mjs`);
    const payload = 'x'.repeat(settings.bytes);
    const onReceived = (count) => {
      arrived += count;
      onArrived();
    };
    peer = await open({ ...settings, payload, onReceived });
    // Nobody connects to it.
    return 0;
  },
  {
    async load({ count }) {
      await peer.load(count, settings.inFlight);
    },
    async oneByOne({ count }) {
      for (let index = 0; index < count; index++) await peer.publish();
    },
    /** Answers when so many more messages have arrived. */
    async arrived({ count }) {
      await new Promise((resolve, reject) => {
        const lost = () => reject(new Error(`${arrived} of ${count} messages arrived at ${settings.name}`));
        const timer = setTimeout(lost, PATIENCE_MS);
        onArrived = () => {
          if (arrived < count) return;
          arrived -= count;
          onArrived = () => undefined;
          clearTimeout(timer);
          resolve();
        };
        onArrived();
      });
    },
    /** How many have arrived that were not asked for yet; they count no more. */
    async forget() {
      const forgotten = arrived;
      arrived = 0;
      return { forgotten };
    },
  },
);
