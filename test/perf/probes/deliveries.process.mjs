// Bytes of heap that one write of a shared batch allocates. Argument: JSON { wasteful }: the control, in which each write
// allocates an object. Started with a young generation so large that nothing is collected while it counts.
import { CHANNEL, QuietConnection, rest, startEngine, subscribe } from './engine.mjs';

const { wasteful } = JSON.parse(process.argv[2]);
const SUBSCRIBERS = 1_000;
const WARM_UP = 400;
const TURNS = 200;
const EVENTS = 10;

class WastefulConnection extends QuietConnection {
  last = undefined;

  write(frame) {
    this.last = { frame, at: this.writes };
    return super.write(frame);
  }
}

const { engine, variant } = await startEngine();
const Connection = wasteful ? WastefulConnection : QuietConnection;
const connections = [];
let collections = 0;
new PerformanceObserver((list) => (collections += list.getEntries().length)).observe({ entryTypes: ['gc'] });

// Twice as many subscribers less once as many leave what writes cost, and the other way round what events cost by themselves.
const once = await withMore();
const twice = await withMore();
await engine.stop();
console.log(
  JSON.stringify({
    writes: twice.writes - once.writes,
    eventsPerWrite: EVENTS,
    bytesPerWrite: (twice.bytes - once.bytes) / (twice.writes - once.writes),
    bytesPerEvent: (2 * once.bytes - twice.bytes) / (TURNS * EVENTS),
    collections: once.collections + twice.collections,
  }),
);

async function withMore() {
  const more = Array.from({ length: SUBSCRIBERS }, () => new Connection(variant));
  connections.push(...more);
  await subscribe(engine, more);
  await turns(WARM_UP);
  globalThis.gc();
  // What is told of it comes later.
  await rest();
  collections = 0;
  const writesBefore = written();
  const { heapUsed: before } = process.memoryUsage();
  await turns(TURNS);
  const { heapUsed: after } = process.memoryUsage();
  await rest();
  return { bytes: after - before, writes: written() - writesBefore, collections };
}

async function turns(count) {
  for (let turn = 0; turn < count; turn++) {
    for (let event = 0; event < EVENTS; event++) void engine.application.publish(CHANNEL, 'said', 'x');
    await new Promise(setImmediate);
    await new Promise(setImmediate);
  }
}

function written() {
  return connections.reduce((sum, { writes }) => sum + writes, 0);
}
