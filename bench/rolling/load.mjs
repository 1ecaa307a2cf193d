/** Characters of an event, beside its number. */
const PADDING = 'x'.repeat(96);

/** What every event of the bench carries: its number among those of its kind and channel, from 0. */
export const payloadOf = (n) => ({ n, text: PADDING });

export const roomOf = (index) => `rooms.${index}`;

/** Which channel a client is subscribed to, by its number. */
export const roomOfClient = (client, rooms) => client % rooms;

/** Whether a client publishes: one of each channel does, and they are neither the first nor the last that connect. */
export function isPublisher(client, rooms, clients) {
  const room = roomOfClient(client, rooms);
  return Math.floor(client / rooms) === (7 * room) % Math.floor(clients / rooms);
}

/**
 * Calls `act` at a steady rate, and catches up after a delay of the process.
 *
 * @param {number} perSecond
 * @param {(n: number) => void} act Gets 0, 1, 2 …
 * @returns {() => number} ends it, and returns how often it was called.
 */
export function steadily(perSecond, act) {
  const began = performance.now();
  let count = 0;
  const timer = setInterval(() => {
    const due = Math.floor(((performance.now() - began) * perSecond) / 1_000);
    while (count < due) act(count++);
  }, 5);
  return () => {
    clearInterval(timer);
    return count;
  };
}
