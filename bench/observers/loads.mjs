import { contenders as fanouts, LIBRARY } from '../fanout/contenders.mjs';
import { dismiss, populate, round as fanoutRound } from '../fanout/round.mjs';
import { rows, servers } from '../echo/contenders.mjs';
import { check, openAskers, round as echoRound } from '../echo/round.mjs';
import { contenders as connecting } from '../connect/contenders.mjs';
import { disperse, storm, tokens } from '../connect/storm.mjs';
import { startServer } from '../support/server-process.mjs';

/** Clients that stay connected throughout a storm. */
const RESIDENTS = 20;
const named = (list) => list.find(({ name }) => name === LIBRARY);

/**
 * What is measured. `open` starts a server with `settings`; `run` is one round, and resolves with the CPU of one operation;
 * `close` ends it.
 */
export function loads({ subscribers, connections, storms, roundMs }) {
  return [
    ...[1, 10].map((perTurn) => fanOut({ subscribers, bytes: 128, roundMs, perTurn })),
    asking('bare', { connections, roundMs }),
    asking('publish', { connections, roundMs }),
    connect(storms),
  ];
}

function fanOut(load) {
  return {
    name: `fan-out to ${load.subscribers}, ${load.perTurn} per turn`,
    unit: 'CPU µs/delivery',
    most: 0.03,
    open: (settings) => populate({ ...named(fanouts), settings }, load),
    run: async (running) => (await fanoutRound(running, load)).cpuPerDelivery,
    close: dismiss,
  };
}

function asking(key, { connections, roundMs }) {
  const row = rows[key];
  return {
    name: row.name,
    unit: 'CPU µs',
    most: 0.05,
    async open(settings) {
      const askers = await openAskers({ ...servers.library, settings }, connections);
      await check(askers, row);
      return askers;
    },
    run: async (askers) => (await echoRound(askers, { ...row }, roundMs)).cpuPerRequest,
    close: ({ stop }) => stop(),
  };
}

function connect(count) {
  const all = tokens(count);
  return {
    name: 'upgrade, token checked, subscribed',
    unit: 'CPU µs',
    most: 0.05,
    async open(settings) {
      const { script, join } = named(connecting);
      const running = { join, server: await startServer(script, settings) };
      const residents = await storm(running, tokens(RESIDENTS));
      return { ...running, residents };
    },
    async run(running) {
      const { clients, cpuPerConnection } = await storm(running, all);
      await disperse(running, clients, RESIDENTS);
      return cpuPerConnection;
    },
    close: ({ server }) => server.stop(),
  };
}
