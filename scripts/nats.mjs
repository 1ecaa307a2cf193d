// Where the tests find the NATS server: NATS_SERVER_PATH, else the PATH. Imported by scripts/test.mjs and by the tests.
import { spawnSync } from 'node:child_process';

/** Older ones lack what the driver asks of JetStream. */
const OLDEST = [2, 9];
/** What a failing test or test command says. */
export const NATS_REMEDY = `The tests of NATS need nats-server ${OLDEST.join('.')} or newer on the PATH, or NATS_SERVER_PATH set to its executable. No server needs to run.`;

/** @returns {string | undefined} the program of a NATS server that is new enough */
export function findNats(env = process.env) {
  const program = env.NATS_SERVER_PATH || 'nats-server';
  const { stdout } = spawnSync(program, ['--version'], { encoding: 'utf8' });
  const [, major, minor] = /v(\d+)\.(\d+)/.exec(stdout ?? '') ?? [];
  const isNew = Number(major) > OLDEST[0] || (Number(major) === OLDEST[0] && Number(minor) >= OLDEST[1]);
  return isNew ? program : undefined;
}
