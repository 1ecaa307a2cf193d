import { sign } from '../connect/check.mjs';
import { httpJoins } from '../support/http-joins.mjs';

/** Channels of everything that is measured begin with it. */
const PREFIX = 'capacity.';

const overHttp = (join) => (user, channels, onBeat) =>
  join(
    channels.map((name) => `${PREFIX}${name}`),
    { token: sign(user), onBeat },
  );

const JOINS = {
  websocket: overWebSocket,
  sse: overHttp(httpJoins.sseSession),
  polling: overHttp(httpJoins.longPoll),
};

/**
 * How a client of a transport comes in: with a token, then subscribed to the channels, one after the other.
 *
 * @param {() => void} [onBeat] told of each question whether it lives that the client answered. Default: those of WebSocket
 * answer none.
 */
export function joinOf(transport, user, channels, onBeat) {
  return JOINS[transport](user, channels, onBeat);
}

function overWebSocket(user, channels, onBeat) {
  return {
    path: '/realtime',
    protocols: ['realtime.v1.json', `bearer.${sign(user)}`],
    ...(onBeat === undefined ? {} : { answer: (text) => answerPing(text, onBeat) }),
    steps: [
      { say: [JSON.stringify({ type: 'hello', id: 'h', payload: { versions: [1] } })], hear: '"welcome"' },
      {
        say: channels.map((name, index) =>
          JSON.stringify({ type: 'subscribe', id: `sub-${index}`, channel: `${PREFIX}${name}` }),
        ),
        hear: `sub-${channels.length - 1}`,
      },
    ],
  };
}

function answerPing(text, onBeat) {
  const ref = /"type":"ping","id":"([^"]+)"/.exec(text)?.[1];
  if (ref === undefined) return undefined;
  onBeat();
  return JSON.stringify({ type: 'pong', ref });
}
