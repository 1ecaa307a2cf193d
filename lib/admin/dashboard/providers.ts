import type { Provider } from '@nestjs/common';
import { systemClock } from '../../core/ports/clock.js';
import { isMissingPackage } from '../../core/ports/missing-package.js';
import { BootProblems } from '../../nest/errors/realtime-boot-error.js';
import type { Asset } from './assets.js';
import { NodeMeter } from './node-meter.js';
import { DASHBOARD_CLOCK, NodesFeed } from './nodes-feed.js';
import { DASHBOARD_ASSETS, DashboardPages } from './pages.js';
import { DashboardStreams } from './streams.js';

/** What the controllers of the dashboard inject. */
export const DASHBOARD_PROVIDERS: readonly Provider[] = [
  { provide: DASHBOARD_ASSETS, useFactory: loadAssets },
  { provide: DASHBOARD_CLOCK, useValue: systemClock },
  NodeMeter,
  DashboardPages,
  DashboardStreams,
  NodesFeed,
];

/** @throws RealtimeBootError where the package that draws the charts is not installed. */
async function loadAssets(): Promise<ReadonlyMap<string, Asset>> {
  // Not imported above: it finds its files by a way that tests which are compiled to CommonJS cannot load.
  const { CHARTS_PACKAGE, readAssets } = await import('./assets.js');
  try {
    return readAssets();
  } catch (error) {
    if (!isMissingPackage(error, CHARTS_PACKAGE)) throw error;
    const problems = new BootProblems();
    problems.add(
      'RealtimeAdminModule: dashboard',
      'needs the package "uplot", which draws its charts and is not installed.',
      'Install it: npm install uplot.',
    );
    problems.throwIfAny();
    throw error;
  }
}
