import { PINS } from './pins.js';

/** Set by jest and by the `npm test` around it: they would reach the npm, jest and vitest of the consumers. */
const OURS =
  /^(NODE_OPTIONS|NODE_ENV|JEST_WORKER_ID|INIT_CWD|npm_(command|lifecycle|package|execpath|node_execpath|config_local_prefix).*)$/;

/** npm's settings, here and not in its command lines, so that those are what the README says. */
const NPM = {
  npm_config_audit: 'false',
  npm_config_fund: 'false',
  npm_config_prefer_offline: 'true',
  npm_config_update_notifier: 'false',
  npm_config_before: PINS.before,
  // What a newcomer has. Peers that do not fit must fail.
  npm_config_legacy_peer_deps: 'false',
  npm_config_force: 'false',
};

/** The environment of a developer's shell. */
export function shellEnvironment(more: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !OURS.test(name));
  return { ...Object.fromEntries(inherited), ...NPM, NO_COLOR: '1', ...more };
}
