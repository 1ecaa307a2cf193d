// A client that keeps every rule, in a process of its own: what it notices of the flood is what counts.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { WebSocket } from 'ws';
import { percentile } from '../support/statistics.mjs';
import { pause } from './army.mjs';
import { answerWith, settingsOf } from './child.mjs';
import { NEIGHBOUR_CHANNEL, QUIET_CHANNEL, QUIET_EVENTS } from './neighbours.mjs';
import { sign } from './tokens.mjs';

const PING_MS = 30;
const PUBLISH_MS = 250;
const NEWCOMER_MS = 250;
/** A round trip that took longer than the flood counts as this, and its event as lost. */
const PATIENCE_MS = 15_000;
const { port } = settingsOf();
const url = `ws://127.0.0.1:${port}/realtime`;

let ids = 0;
const id = () => `n${++ids}`;
const waiting = new Map();
/** Everything that a neighbour may complain about. */
let trouble = untroubled();
/** Where the attackers come from. */
let attackers = '127.0.0.1';
let seq;
let pings = [];
/** When the pings began that are not answered yet. */
const unanswered = new Set();
let publishes = [];
let newcomers = fresh();

function untroubled() {
  return { lost: 0, gaps: 0, refused: [], closed: [] };
}

function fresh() {
  return { own: { tried: 0, in: 0, refused: [], ms: [] }, shared: { tried: 0, in: 0, refused: [], ms: [] } };
}

function open(address) {
  return new WebSocket(url, ['realtime.v1.json'], { localAddress: address, perMessageDeflate: false });
}

function hello(socket, user, ...more) {
  const first = { type: 'hello', id: 'hello', payload: { versions: [1], token: sign(user) } };
  socket.send([first, ...more].map((one) => JSON.stringify(one)).join('\n'));
}

const subscribe = (channel) => ({
  type: 'subscribe',
  id: `s-${channel}`,
  channel,
  payload: { presence: false, snapshot: false },
});

const socket = open('127.0.0.1');
const settled = new Promise((resolve, reject) => {
  socket.on('open', () => hello(socket, 'neighbour', subscribe(NEIGHBOUR_CHANNEL)));
  socket.on('error', reject);
  socket.on('close', (code, reason) => {
    trouble.closed.push(`${code} ${reason}`);
    reject(new Error(`closed with ${code}`));
  });
  socket.on('message', (data) => {
    for (const line of data.toString().split('\n')) receive(JSON.parse(line), resolve);
  });
});

function receive(message, subscribed) {
  const { type, ref, payload, channel } = message;
  if (type === 'ping') socket.send(JSON.stringify({ type: 'pong', ref: message.id }));
  else if (type === 'event' && channel === NEIGHBOUR_CHANNEL) {
    if (message.seq !== seq + 1) trouble.lost += message.seq - seq - 1;
    seq = message.seq;
  } else if (type === 'gap' || type === 'reset' || type === 'unsubscribed') trouble.gaps++;
  else if (type === 'reply' && ref === `s-${NEIGHBOUR_CHANNEL}`) {
    seq = payload.position.seq;
    subscribed();
  } else waiting.get(ref)?.(message);
}

/** Sends, and measures the round trip. */
async function ask(command) {
  const own = { id: id(), ...command };
  const start = performance.now();
  const answer = await new Promise((resolve) => {
    const timer = setTimeout(resolve, PATIENCE_MS, undefined);
    waiting.set(own.id, (message) => {
      clearTimeout(timer);
      resolve(message);
    });
    if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(own));
  });
  waiting.delete(own.id);
  return { ms: performance.now() - start, answer };
}

/** A client that comes while the flood goes on. */
async function newcomer(kind, address, index) {
  const mine = newcomers[kind];
  mine.tried++;
  const start = performance.now();
  const socket = open(address);
  const why = await new Promise((resolve) => {
    const timer = setTimeout(resolve, PATIENCE_MS, 'no answer');
    const settle = (reason) => {
      clearTimeout(timer);
      resolve(reason);
    };
    socket.on('open', () => hello(socket, `newcomer-${kind}-${index}`, subscribe(NEIGHBOUR_CHANNEL)));
    socket.on('unexpected-response', (_, { statusCode }) => settle(statusCode));
    socket.on('error', (error) => settle(error.code ?? error.message));
    socket.on('close', (code) => settle(code));
    socket.on('message', (data) => {
      const text = data.toString();
      if (text.includes(`"ref":"s-${NEIGHBOUR_CHANNEL}"`))
        settle(text.includes('"type":"error"') ? /"code":"(\w+)"/.exec(text)?.[1] : undefined);
    });
  });
  socket.on('error', () => undefined);
  if (socket.readyState === WebSocket.OPEN) socket.close(1000);
  else socket.terminate();
  if (why === undefined) {
    mine.in++;
    mine.ms.push(performance.now() - start);
  } else mine.refused.push(String(why));
}

async function every(ms, act) {
  for (let round = 0; ; round++) {
    act(round);
    await pause(ms);
  }
}

const delay = monitorEventLoopDelay({ resolution: 5 });
await settled;
void every(PING_MS, async () => {
  const list = pings;
  const start = { at: performance.now() };
  unanswered.add(start);
  list.push((await ask({ type: 'ping' })).ms);
  unanswered.delete(start);
});
void every(PUBLISH_MS, async (round) => {
  const list = publishes;
  const { ms, answer } = await ask({
    type: 'publish',
    channel: NEIGHBOUR_CHANNEL,
    event: 'said',
    payload: { round },
  });
  list.push(ms);
  if (answer?.type !== 'reply') trouble.refused.push(answer?.payload?.code ?? 'no answer');
});
void every(NEWCOMER_MS, (round) => {
  void newcomer('own', '127.0.0.1', round);
  void newcomer('shared', attackers, round);
});

answerWith({
  /** @param {{ address?: string }} message where the attackers come from. */
  begin({ address }) {
    if (address !== undefined) attackers = address;
    pings = [];
    publishes = [];
    newcomers = fresh();
    delay.reset();
    delay.enable();
  },
  end() {
    delay.disable();
    const summed = ({ ms, ...rest }) => ({ ...rest, p99: percentile(ms, 0.99) });
    // One that still waits took at least as long as it waits.
    pings.push(...[...unanswered].map(({ at }) => performance.now() - at));
    return {
      pings: pings.length,
      pingP99: percentile(pings, 0.99),
      pingMedian: percentile(pings, 0.5),
      publishP99: percentile(publishes, 0.99),
      // What this process was late by itself.
      ownP99: delay.percentile(99) / 1e6,
      newcomers: { own: summed(newcomers.own), shared: summed(newcomers.shared) },
    };
  },
  /** What the neighbour lost since it was last asked. */
  async losses() {
    const own = trouble;
    trouble = untroubled();
    const { answer: tip } = await ask({
      type: 'history',
      channel: NEIGHBOUR_CHANNEL,
      payload: { limit: 1, reverse: true },
    });
    const seen = seq;
    const { answer: quiet } = await ask({ type: 'history', channel: QUIET_CHANNEL, payload: { limit: 100 } });
    return {
      ...own,
      answers: tip !== undefined,
      behind: Math.max(0, (tip?.payload.position?.seq ?? seen) - seen),
      forgotten: QUIET_EVENTS - (quiet?.payload.events?.length ?? 0),
    };
  },
});
