import { setTimeout as wait } from 'node:timers/promises';
import { sign } from '../connect/check.mjs';
import { startMeasuring } from '../support/load.mjs';
import { startServer } from '../support/server-process.mjs';
import { now } from './clock.mjs';
import { Line } from './cutting-proxy.mjs';
import { membersOf, roomOf } from './names.mjs';
import { Received } from './received.mjs';

/** Clients that connect at the same time. */
const AT_ONCE = 50;
/** Nothing came to anybody for so long: nothing will. */
const QUIET_MS = 2_000;
const LOOK_MS = 50;
/** Events flow for so long before the first cut: a client of Socket.IO that has had none has nothing to continue from. */
const LEAD_MS = 1_000;
/** A publish is that much older than a cut, at most: its acknowledgement is on its way, or it is itself. */
const ON_THE_WAY_MS = 4;

/** The servers of a contender, which stay for all of its turns. */
export async function startContender(contender, { bytes, heartbeat, redis }) {
  const settings = { ...contender.settings, bytes, heartbeat, ...(contender.nodes > 1 && { redis }) };
  const servers = [];
  for (let node = 0; node < contender.nodes; node++)
    servers.push(await startServer(contender.script, settings));
  return { ...contender, servers, turns: [] };
}

/**
 * One turn: all clients connect, the server publishes and so do they, and each is cut at moments of its own.
 *
 * @param {object} load
 * @param {number} load.clients
 * @param {number} load.perSecond Events of each feed a second.
 * @param {number} load.publishMs How often each client publishes.
 * @param {number} load.turnMs How long all of that lasts.
 * @param {number} load.everyMs How often each client is cut, from a moment of its own on.
 * @param {number} load.cuts At most, of each client.
 * @param {number} load.patienceMs Longest wait for the rest of the events afterwards.
 * @param {(line: Line) => boolean} load.cut What happens to a client.
 * @param {() => number} random Uniform in [0, 1).
 */
export async function playTurn(contender, load, random) {
  const { clients: count, patienceMs } = load;
  const players = await enter(contender, count);
  await wait(500);
  const [publisher] = contender.servers;
  for (const server of contender.servers) await server.ask({ type: 'begin', collect: false });
  const measured = startMeasuring();
  for (const server of contender.servers)
    await server.ask({ type: 'start', perSecond: server === publisher ? load.perSecond : 0 });
  await Promise.all(players.map((player) => play(player, load, random)));
  const [{ times, failures }] = await Promise.all(
    contender.servers.map((server) => server.ask({ type: 'stop' })),
  );
  const { loadShare, seconds } = measured();
  let cpuMicros = 0;
  for (const server of contender.servers) cpuMicros += (await server.ask({ type: 'end' })).cpuMicros;
  const until = now() + patienceMs;
  while (now() < until && !isOver(players, times)) await wait(LOOK_MS);
  const said = new Map();
  for (const server of contender.servers)
    for (const [id, runs] of (await server.ask({ type: 'said' })).said)
      said.set(id, (said.get(id) ?? 0) + runs);
  for (const player of players) {
    player.isOver = true;
    await player.client.close();
    await player.line.close();
  }
  return { players, times, failures, said, loadShare, serverShare: cpuMicros / 1e6 / seconds };
}

async function enter({ servers, join, isBackWith }, count) {
  const players = [];
  for (let from = 0; from < count; from += AT_ONCE) {
    const some = Array.from({ length: Math.min(AT_ONCE, count - from) }, async (_, index) => {
      const number = from + index;
      const player = { number, received: new Received(), cuts: [], publishes: [], home: number };
      player.line = await Line.open(() => servers[player.home % servers.length].port);
      const begin = (what) => () => {
        const cut = player.cuts.at(-1);
        if (cut !== undefined && what === isBackWith) cut.backAt ??= now();
      };
      player.line.onConnect = begin('connection');
      player.client = await join({
        port: player.line.port,
        token: sign(`user-${number}`),
        room: roomOf(number),
        received: player.received,
        onAttempt: begin('attempt'),
      });
      return player;
    });
    players.push(...(await Promise.all(some)));
  }
  return players;
}

async function play(player, { turnMs, everyMs, cuts, publishMs, cut }, random) {
  const begunAt = now();
  const left = (at) => Math.max(0, begunAt + at - now());
  const cutting = async () => {
    const phase = LEAD_MS + random() * everyMs;
    for (let index = 0; index < cuts && phase + index * everyMs < turnMs; index++) {
      const before = random() * ON_THE_WAY_MS;
      await wait(left(phase + index * everyMs));
      publish(player);
      await wait(before);
      // Whoever comes back comes back at another node.
      player.home++;
      const at = now();
      if (cut(player.line, random)) player.cuts.push({ at });
    }
  };
  const publishing = async () => {
    for (let at = random() * publishMs; at < turnMs; at += publishMs) {
      await wait(left(at));
      publish(player);
    }
  };
  await Promise.all([cutting(), publishing(), wait(turnMs)]);
}

function publish({ number, client, publishes }) {
  const n = publishes.length;
  const entry = { id: `${number}-${n}`, outcome: 'open' };
  publishes.push(entry);
  client.publish({ id: entry.id, by: number, n }).then(
    () => (entry.outcome = 'acknowledged'),
    () => (entry.outcome = 'failed'),
  );
}

/** Everything is there, or nothing more will come. */
function isOver(players, times) {
  const isBack = players.every(({ cuts }) => cuts.every(({ backAt }) => backAt !== undefined));
  const isAnswered = players.every(({ publishes }) => publishes.every(({ outcome }) => outcome !== 'open'));
  if (!isBack || !isAnswered) return false;
  const lastAt = Math.max(
    ...players.map(({ received }) => received.lastAt),
    ...players.flatMap(({ cuts }) => cuts.map(({ backAt }) => backAt)),
  );
  return isComplete(players, times) || now() - lastAt > QUIET_MS;
}

function isComplete(players, times) {
  return players.every(({ number, received, publishes }) => {
    const hasFeeds = times.every(({ length }, feed) => {
      const seen = received.feeds[feed];
      for (let n = 0; n < length; n++) if (seen[n] === undefined) return false;
      return true;
    });
    const acknowledged = publishes.filter(({ outcome }) => outcome === 'acknowledged');
    const isWithAll = ({ id }) => membersOf(number, players).every((member) => member.received.room.has(id));
    return hasFeeds && acknowledged.every(isWithAll);
  });
}
