import { cpus } from 'node:os';
import { placement } from '../support/pinning.mjs';
import { fitFanOut } from './fit.fan-out.mjs';
import { fitHeartbeat } from './fit.heartbeat.mjs';
import { fitMemory } from './fit.memory.mjs';
import { fitRequests } from './fit.requests.mjs';

/** An event that comes from Redis, in microseconds: not measured here, see docs/capacity.md. */
const RECEIVE_MICROS = 9;

/** Measures the costs of a transport on this machine, a minute and a quarter long. */
export async function fitCosts(transport) {
  const fanOut = await fitFanOut(transport);
  const parts = [fanOut, await fitRequests(transport), await fitHeartbeat(transport), await fitMemory()];
  const [{ model = 'unknown' } = {}] = cpus();
  return {
    transport,
    machine: { cpu: model, cores: cpus().length, node: process.version, placement },
    micros: rounded({
      receive: RECEIVE_MICROS,
      ...Object.assign({}, ...parts.map(({ micros }) => micros)),
    }),
    bytes: rounded(Object.assign({}, ...parts.map(({ bytes }) => bytes))),
    fit: fanOut.fit,
  };
}

function rounded(costs) {
  return Object.fromEntries(
    Object.entries(costs).map(([name, value]) => [name, Number(value.toPrecision(4))]),
  );
}
