import type { CanActivate, ModuleMetadata, Type } from '@nestjs/common';
import type { MaybePromise } from '../core/ports/maybe-promise.js';
import { BootProblems } from '../nest/errors/realtime-boot-error.js';
import { canonicalOrigin } from '../nest/options/transport-options.js';
import type { AdminAuthority } from './authority.js';

/** Who may use the admin API, and where it is. */
export interface RealtimeAdminOptions {
  /** Path of the routes, behind the global prefix of the application. They have no version. Default `'realtime-admin'`. */
  readonly path?: string;
  /**
   * Guards of all routes, in their order: they find out who calls. At least one. Classes are instantiated in this module: what they
   * inject comes from `imports`, or from global modules.
   */
  readonly guards: readonly (Type<CanActivate> | CanActivate)[];
  /**
   * What the caller may do: `'read'` < `'moderate'` < `'administer'`, or `undefined` for nothing. Called behind the guards, with the
   * request of Express or Fastify as they left it: annotate the parameter with its type. What it throws refuses the request.
   *
   * @param route id of what is asked for, such as `'publish'`: docs/admin-api.md has all of them. Decide by it and not by the URL,
   * which has a query that the caller chooses. `'readDashboard'`, `'tapChannel'` and `'openDashboard'` are of the dashboard.
   * @example authorityOf: ({ worker, staff }: StaffRequest, route) => (worker && route === 'publish' ? 'administer' : staff?.realtime)
   */
  authorityOf(request: unknown, route: string): MaybePromise<AdminAuthority | undefined>;
  /** Who the caller is, for the log and the audit: 1 to 255 characters. Called behind the guards. */
  by(request: unknown): string;
  /**
   * Pages of other sites that may use the routes: exact origins such as `'https://admin.example.com'`. What a browser sends for any
   * other page of another site is refused. CORS is answered for these origins, with credentials; the page of the dashboard does not
   * need it. Default: none.
   */
  readonly allowedOrigins?: readonly string[];
  /** Modules that provide what `guards` inject. Default: none. */
  readonly imports?: ModuleMetadata['imports'];
  /**
   * A page at `{path}/dashboard` that shows what all nodes do, and acts on users by these routes. It asks for a bearer token where the
   * guards answer 401, and otherwise uses what the browser sends by itself. Needs the package `uplot`. Default `false`.
   */
  readonly dashboard?: boolean | DashboardOptions;
}

/** How the dashboard is mounted. */
export interface DashboardOptions {
  /**
   * Whether the files of the page are behind the guards, too. They are the same for everybody and have nothing of the application in
   * them, so that a browser can load the page and ask for a token. Turn it on where the guards know a cookie, or ask by HTTP Basic.
   * Default `false`.
   */
  readonly guardPage?: boolean;
}

/** The options with their defaults. */
export interface AdminConfig extends Required<
  Omit<RealtimeAdminOptions, 'imports' | 'dashboard' | 'allowedOrigins'>
> {
  /** In the form in which browsers send them. */
  readonly allowedOrigins: ReadonlySet<string>;
  readonly imports: NonNullable<ModuleMetadata['imports']>;
  /** `undefined` where there is none. */
  readonly dashboard: DashboardConfig | undefined;
}

/** The dashboard with its defaults. */
export type DashboardConfig = Required<DashboardOptions>;

const DEFAULT_PATH = 'realtime-admin';
const KNOWN = ['path', 'guards', 'authorityOf', 'by', 'allowedOrigins', 'imports', 'dashboard'];
const PATH = /^\/?[\w~-][\w.~-]*(?:\/[\w~-][\w.~-]*)*$/;

/** @throws RealtimeBootError with every mistake at once: an API without a guard would be open to everybody. */
export function readAdminOptions(given: RealtimeAdminOptions | undefined): AdminConfig {
  const problems = new BootProblems();
  const options: Partial<Record<keyof RealtimeAdminOptions, unknown>> =
    typeof given === 'object' && (given as unknown) !== null ? given : {};
  for (const name of Object.keys(options))
    if (!KNOWN.includes(name))
      problems.add(`RealtimeAdminModule: ${name}`, 'is no option.', `Use one of: ${KNOWN.join(', ')}.`);
  const {
    path = DEFAULT_PATH,
    guards,
    authorityOf,
    by,
    allowedOrigins: origins = [],
    imports = [],
    dashboard = false,
  } = options;
  if (typeof path !== 'string' || !PATH.test(path))
    problems.add(
      'RealtimeAdminModule: path',
      'is not a path of plain segments.',
      'Write one such as "realtime-admin" or "internal/realtime", without parameters and dots alone.',
    );
  if (!Array.isArray(guards) || guards.length === 0)
    problems.add(
      'RealtimeAdminModule: guards',
      'is missing or empty, so anybody could disconnect and ban users.',
      'Give the guard that finds out who calls, e.g. guards: [AdminGuard].',
    );
  else if (!guards.every(isGuard))
    problems.add(
      'RealtimeAdminModule: guards',
      'has an entry that is no guard.',
      'Give classes or objects with canActivate().',
    );
  if (typeof authorityOf !== 'function')
    problems.add(
      'RealtimeAdminModule: authorityOf',
      `${missing(authorityOf)}, so it is open what a caller may do.`,
      "Give a function, e.g. authorityOf: (request: StaffRequest) => request.user.adminRole, that returns 'read', 'moderate', 'administer' or undefined.",
    );
  if (typeof by !== 'function')
    problems.add(
      'RealtimeAdminModule: by',
      `${missing(by)}, so nobody could say who did it.`,
      'Give a function, e.g. by: (request: StaffRequest) => request.user.id.',
    );
  if (!Array.isArray(imports))
    problems.add('RealtimeAdminModule: imports', 'is no list.', 'Give a list of modules, or leave it out.');
  const allowedOrigins = readOrigins(origins, problems);
  const page = readDashboard(dashboard, problems);
  problems.throwIfAny();
  return {
    ...(options as RealtimeAdminOptions),
    path,
    allowedOrigins,
    imports,
    dashboard: page,
  } as AdminConfig;
}

function missing(value: unknown): string {
  return value === undefined ? 'is missing' : 'is no function';
}

function readOrigins(given: unknown, problems: BootProblems): ReadonlySet<string> {
  const path = 'RealtimeAdminModule: allowedOrigins';
  const remedy = 'Write scheme, host and port only, e.g. allowedOrigins: ["https://admin.example.com"].';
  if (!Array.isArray(given)) {
    problems.add(path, 'is no list of origins.', remedy);
    return new Set();
  }
  const found = given.map((one: unknown) => (typeof one === 'string' ? canonicalOrigin(one) : undefined));
  // A wildcard would let any page act with the cookie of whoever looks at it.
  const wrong = found.findIndex((origin) => origin === undefined || origin.includes('*'));
  if (wrong >= 0) problems.add(`${path}[${wrong}]`, 'is not one exact origin.', remedy);
  return new Set(found.flatMap((origin) => origin ?? []));
}

function readDashboard(given: unknown, problems: BootProblems): DashboardConfig | undefined {
  if (given === false) return undefined;
  const options = given === true ? {} : given;
  const isKnown =
    typeof options === 'object' &&
    options !== null &&
    Object.entries(options).every(([name, value]) => name === 'guardPage' && typeof value === 'boolean');
  if (!isKnown) {
    problems.add(
      'RealtimeAdminModule: dashboard',
      'is neither true, false, nor an object of its options.',
      'Write dashboard: true, or dashboard: { guardPage: true }.',
    );
    return undefined;
  }
  const { guardPage = false } = options as DashboardOptions;
  return { guardPage };
}

function isGuard(guard: unknown): boolean {
  const holder: unknown = typeof guard === 'function' ? guard.prototype : guard;
  return typeof (holder as Partial<CanActivate> | null | undefined)?.canActivate === 'function';
}
