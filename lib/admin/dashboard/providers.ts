import type { Provider } from '@nestjs/common';
import { systemClock } from '../../core/ports/clock.js';
import type { DashboardConfig } from '../options.js';
import { NodeMeter } from './node-meter.js';
import { DASHBOARD_CLOCK, NodesFeed } from './nodes-feed.js';
import { DASHBOARD_ASSETS, DashboardPages } from './pages.js';
import { DashboardStreams } from './streams.js';

/** What the controllers of the dashboard inject. */
export function dashboardProviders({ assets }: DashboardConfig): readonly Provider[] {
  return [
    { provide: DASHBOARD_ASSETS, useValue: assets },
    { provide: DASHBOARD_CLOCK, useValue: systemClock },
    NodeMeter,
    DashboardPages,
    DashboardStreams,
    NodesFeed,
  ];
}
