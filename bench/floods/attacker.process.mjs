// The attackers of one flood, in a process of their own.
import { setPriority } from 'node:os';
import { Army, pause } from './army.mjs';
import { answerWith, settingsOf } from './child.mjs';
import { floods } from './floods.mjs';
import { seededRandom } from './random.mjs';

const { port, seed } = settingsOf();
/** How long attackers have to leave, so that the next flood finds none of them. */
const LEAVE_MS = 50;
// The neighbour shares the machine with the attackers, and would wait for the processor behind them.
setPriority(15);
let army;
let failure;

answerWith({
  start({ name, network }) {
    failure = undefined;
    army = new Army({ port, name, network, random: seededRandom(seed) });
    const { attack } = floods.find((flood) => flood.name === name);
    attack(army).catch((error) => (failure = error));
  },
  async stop() {
    const counts = structuredClone(army.counts);
    army.disband();
    await pause(LEAVE_MS);
    return { ...counts, ...(failure && { failure: failure.stack }) };
  },
});
