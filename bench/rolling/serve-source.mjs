import { answerWith, settingsOf } from '../floods/child.mjs';
import { payloadOf, steadily } from './load.mjs';

/**
 * Body of a process that publishes to all channels in turn.
 *
 * @param {(event: { room: number, payload: object }) => Promise<unknown>} publish Resolves when it is acknowledged.
 */
export function serveSource(publish) {
  const { rooms, perSecond } = settingsOf();
  /** Numbers that were acknowledged, by channel. */
  const acknowledged = Array.from({ length: rooms }, () => []);
  const underWay = new Set();
  const failed = [];
  let stop;
  answerWith({
    start() {
      stop = steadily(perSecond, (count) => {
        const room = count % rooms;
        const n = Math.floor(count / rooms);
        const one = publish({ room, payload: payloadOf(n) }).then(
          () => acknowledged[room].push(n),
          (error) => failed.push(String(error)),
        );
        underWay.add(one);
        void one.then(() => underWay.delete(one));
      });
    },
    async stop() {
      stop();
      await Promise.all(underWay);
      return { acknowledged, failed };
    },
  });
}
