import { fileURLToPath } from 'node:url';
import { check, openAskers, round } from '../echo/round.mjs';
import { median } from '../support/statistics.mjs';
import { RequestTemplate } from '../support/request-template.mjs';
import { command } from './clients.mjs';
import { dismissAskers, httpRound, openHttpAskers } from './http-asking.mjs';
import { joinOf } from './transports.mjs';

const CLIENTS = 100;
const ROUNDS = 3;
const ROUND_MS = 500;
const { id } = RequestTemplate;
const script = fileURLToPath(new URL('server.mjs', import.meta.url));

const rows = {
  request: {
    name: 'a request',
    answer: '"type":"reply"',
    text: command('request', 'echo', 'requests', id),
  },
  // Nobody is subscribed to it: what its subscribers cost is fitted elsewhere.
  clientPublish: {
    name: 'a publish',
    answer: '"duplicate":false',
    text: command('publish', 'tick', 'nobody', id),
  },
};

/** What a request with its reply and a publish of a client cost, each client with one outstanding. */
export async function fitRequests(transport) {
  const { ask, stop } = transport === 'websocket' ? await overWebSocket() : await overHttp(transport);
  const samples = { request: [], clientPublish: [] };
  for (let index = -1; index < ROUNDS; index++) {
    for (const [name, row] of Object.entries(rows)) {
      const { cpuPerRequest } = await ask(row);
      if (index >= 0) samples[name].push(cpuPerRequest);
    }
  }
  stop();
  return { micros: { request: median(samples.request), clientPublish: median(samples.clientPublish) } };
}

async function overWebSocket() {
  // Users of their own: what is remembered of the publishes of one is bounded.
  const join = (index) => joinOf('websocket', `asker-${index}`, ['requests']);
  const askers = await openAskers({ script, join }, CLIENTS);
  for (const row of Object.values(rows)) await check(askers, row);
  return { ask: (row) => round(askers, row, ROUND_MS), stop: () => askers.stop() };
}

/** With the body that carries it, and what is answered to it. */
async function overHttp(transport) {
  const askers = await openHttpAskers(transport, CLIENTS);
  return { ask: (row) => httpRound(askers, row, ROUND_MS), stop: () => dismissAskers(askers) };
}
