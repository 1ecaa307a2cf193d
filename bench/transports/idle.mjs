import { dismiss, populate } from '../fanout/round.mjs';

/** As the library has it by default, and Socket.IO too. */
const BEAT_MS = 25_000;
const MINUTE_MS = 60_000;

/**
 * What a client costs that is sent nothing but signs of life, and answers them.
 *
 * @returns {Promise<number>} CPU of its server, in microseconds a minute.
 */
export async function idleCost({ settings, ...contender }, { clients, idleMs }) {
  const running = await populate(
    { ...contender, settings: { ...settings, beatMs: BEAT_MS } },
    { subscribers: clients },
  );
  await running.server.ask({ type: 'begin' });
  await new Promise((resolve) => setTimeout(resolve, idleMs));
  const { cpuMicros } = await running.server.ask({ type: 'end' });
  dismiss(running);
  return cpuMicros / clients / (idleMs / MINUTE_MS);
}
