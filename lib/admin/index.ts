export type { AdminAuthority } from './authority.js';
export type { RealtimeAdminOptions } from './options.js';
export { RealtimeAdminModule } from './realtime-admin.module.js';
