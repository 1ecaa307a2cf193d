import type { AdminRoute } from '../../lib/admin/route.js';

export function renderAdmin(document: string, routes: readonly AdminRoute[]): string;
