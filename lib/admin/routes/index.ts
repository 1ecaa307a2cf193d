import type { AdminRoute } from '../route.js';
import { ACT_ROUTES } from './acts.js';
import { AUDIT_ROUTES } from './audit.js';
import { CHANNEL_ROUTES } from './channels.js';
import { CONNECTION_ROUTES } from './connections.js';
import { NODE_ROUTES } from './nodes.js';
import { PUBLISH_ROUTES } from './publish.js';

/** All routes. A path is used once for each method. */
export const ROUTES: readonly AdminRoute[] = [
  ...CONNECTION_ROUTES,
  ...CHANNEL_ROUTES,
  ...PUBLISH_ROUTES,
  ...ACT_ROUTES,
  ...NODE_ROUTES,
  ...AUDIT_ROUTES,
];
