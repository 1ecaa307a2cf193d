import { moveOf, sharesOf } from './outcome.mjs';
import { pause, RollingSite } from './site.mjs';

/**
 * A rolling restart under load: each node gets a successor, as with `maxSurge: 1`, and is then ended.
 *
 * @param {import('./site.mjs').SiteSettings} settings
 * @param {{ steadyMs: number, calmMs: number }} times How long everything is watched before, and how long it rests behind each
 * restart.
 */
export async function rollOut(settings, { steadyMs, calmMs }) {
  const site = await RollingSite.start(settings);
  try {
    await site.connect();
    await site.publish();
    await pause(calmMs);
    await site.measure();
    const before = site.cpu();
    await pause(steadyMs);
    const steady = await site.measure();
    const cpu = sharesOf(before, site.cpu());
    const restarts = [];
    const [, ...next] = settings.versions ?? [undefined, undefined];
    for (const version of next) {
      for (const node of [...site.nodes]) {
        await site.addNode(version);
        await pause(calmMs);
        await site.measure();
        const ended = await site.endNode(node);
        const absent = await site.allLive();
        await pause(calmMs);
        restarts.push({ ...ended, absent, ...moveOf(await site.measure()) });
      }
    }
    const total = await site.settle();
    return {
      ...total,
      steady: steady.clients.map(({ longest }) => longest),
      cpu,
      restarts,
      lines: site.lines,
    };
  } finally {
    await site.stop();
  }
}
