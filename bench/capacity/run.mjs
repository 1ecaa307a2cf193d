// How many nodes a load needs, from costs measured here: `npm run capacity -- --help`. See docs/capacity.md.
import { pinLoadGenerator } from '../support/pinning.mjs';
import { tellCosts, tellNodes } from './answer.mjs';
import { checkModel } from './check.mjs';
import { readCosts, saveCosts } from './costs.mjs';
import { fitCosts } from './fit.mjs';
import { readFlags, usage } from './flags.mjs';
import { planOf } from './plan.mjs';
import { LIMITS, tellTable } from './table.mjs';

try {
  process.exitCode = (await main(readFlags(process.argv.slice(2)))) ? 0 : 1;
} catch (error) {
  if (!(error instanceof RangeError)) throw error;
  console.error(error.message);
  process.exitCode = 2;
}

async function main({ help, check, table, costs: file, save, transport, ...said }) {
  if (help) {
    console.log(usage());
    return true;
  }
  const asked = Object.keys(said).some((name) => !table || !LIMITS.includes(name));
  // Before a minute of measuring, not behind it.
  const plan = asked ? planOf(said) : undefined;
  if (plan === undefined && !check && !table && save === undefined) {
    console.log(usage());
    return false;
  }
  const known = file === undefined ? undefined : readCosts(file, transport);
  if (known === undefined || check) pinLoadGenerator();
  const costs = known ?? (await measured(transport));
  tellCosts(costs);
  if (save !== undefined) saveCosts(save, costs);
  const enough = plan === undefined || tellNodes(plan, costs);
  if (table) tellTable(costs, said);
  if (check) await checkModel(costs);
  return enough;
}

function measured(transport = 'websocket') {
  console.log(`Measuring the costs of ${transport} on this machine, for a minute and a quarter …`);
  return fitCosts(transport);
}
