import { closedLoop } from '../support/closed-loop.mjs';
import { startServer } from '../support/server-process.mjs';
import { openSubscribers } from '../support/subscribers.mjs';

/** Starts a contender and subscribes everybody to it. */
export async function populate(contender, { subscribers, ...settings }) {
  const server = await startServer(contender.script, { ...settings, ...contender.settings });
  const load = await openSubscribers(server.port, contender.join, subscribers);
  return { ...contender, server, load };
}

export function dismiss({ server, load }) {
  for (const client of load.clients) client.close();
  server.stop();
}

/**
 * One round in a closed loop.
 *
 * @param contender `leastBytes`: least that a delivery of it takes, where that is less than the payload.
 */
export function round(contender, { perTurn, subscribers, bytes, roundMs }) {
  const deliveries = perTurn * subscribers;
  return closedLoop(contender, {
    turn: { type: 'turn', events: perTurn },
    deliveries,
    leastBytes: deliveries * (contender.leastBytes ?? bytes),
    roundMs,
  });
}
