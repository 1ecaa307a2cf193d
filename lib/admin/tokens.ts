/** Injection token of the options. */
export const ADMIN_CONFIG = Symbol('REALTIME_ADMIN_CONFIG');
/** Metadata of a method of the controller: its route. */
export const ADMIN_ROUTE = Symbol('REALTIME_ADMIN_ROUTE');
/** The page of the dashboard itself: a link to it may be on any site. */
export const PAGE_ROUTE = 'openDashboard';
