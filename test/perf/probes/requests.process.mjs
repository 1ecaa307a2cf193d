// Promises, timers and calls of the broker that a command of a client costs. Argument: JSON { type, event, paced }.
import { createHook } from 'node:async_hooks';
import { CHANNEL, MAX_TURNS, QuietConnection, rest, startEngine, subscribe } from './engine.mjs';

const { type, event, paced } = JSON.parse(process.argv[2]);
const COUNT = 1_000;
const created = { PROMISE: 0, Timeout: 0 };
const brokerCalls = {};

/** Parts of a broker that have methods of their own. */
const PARTS = new Set(['log', 'presence', 'bus']);

class ListeningConnection extends QuietConnection {
  replies = 0;

  write(frame) {
    this.replies += frame.toString().split('"type":"reply"').length - 1;
    return super.write(frame);
  }
}

/** A broker whose parts count how often they are called. */
function counted(broker) {
  return new Proxy(broker, {
    get(target, name) {
      const value = Reflect.get(target, name, target);
      if (PARTS.has(name)) return counted(value);
      if (typeof value !== 'function') return value;
      return (...args) => {
        brokerCalls[name] = (brokerCalls[name] ?? 0) + 1;
        return value.apply(target, args);
      };
    },
  });
}

const { engine, variant } = await startEngine({ broker: counted, paced });
const connection = new ListeningConnection(variant);
await subscribe(engine, [connection]);
const hook = createHook({
  init(_, kind) {
    if (kind in created) created[kind] += 1;
  },
});
let sent = 0;
send(10);
await rest();
connection.replies = 0;
for (const name of Object.keys(brokerCalls)) delete brokerCalls[name];
hook.enable();
send(COUNT);
// Not by promises, which would be counted.
turns(MAX_TURNS, () => {
  hook.disable();
  console.log(
    JSON.stringify({
      replies: connection.replies,
      promises: created.PROMISE / COUNT,
      timers: created.Timeout / COUNT,
      brokerCalls,
    }),
  );
  void engine.stop();
});

function send(count) {
  for (let index = 0; index < count; index++) {
    const command = { type, id: `c${++sent}`, channel: CHANNEL, event, payload: 1 };
    connection.handler.onFrame(JSON.stringify(command));
  }
}

function turns(left, then) {
  if (left === 0 || connection.replies >= COUNT) then();
  else setImmediate(turns, left - 1, then);
}
