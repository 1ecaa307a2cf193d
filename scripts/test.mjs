// What `npm test` runs: prepares what the tests need, then runs jest; contracts, faults, counts and consumers by themselves. Arguments go to jest:
//   npm test -- --selectProjects unit e2e
//   npm test -- --selectProjects unit --testPathPatterns envelope
// Only what the selected projects need is prepared.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import jestConfig from '../jest.config.mjs';
import { findSecretsInFiles, forgetNotes, readNotes, runScanned } from './canary.mjs';
import { findChromium } from './chromium.mjs';
import { downloadKafka, findKafka, KAFKA_REMEDY } from './kafka.mjs';
import { findNats, NATS_REMEDY } from './nats.mjs';
import { measureSlowness } from './slowness.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const PROJECTS = jestConfig.projects.map(({ displayName }) => displayName);
/** Workers that a run with arguments of its own may have chosen. */
const WORKERS = /^(-i|-w|--runInBand|--maxWorkers)\b/;
const IN_BAND = '--runInBand';
/**
 * What runs by itself, under the name of its first project. Nothing else may run beside faults and counts: how long a recovery takes,
 * and what a process allocates, are what they prove. Contracts wait for servers most of the time, so that several share a core; the
 * consumers keep two busy with compilers of their own.
 */
const SEPARATE = [
  { projects: ['contract', 'ioredis5'], workers: `--maxWorkers=${2 * Math.max(2, availableParallelism())}` },
  { projects: ['fault'], workers: IN_BAND },
  { projects: ['perf'], workers: IN_BAND },
  { projects: ['consumers'], workers: '--maxWorkers=2' },
];
/** Many tests wait for servers and windows while others compute. jest by itself leaves a core alone: of two, half of them. */
const TOGETHER = `--maxWorkers=${Math.max(2, availableParallelism() - 1)}`;
/** Those that start Redis servers. */
const WITH_REDIS = ['redis', 'contract', 'ioredis5', 'e2e', 'nest11', 'browser', 'fault', 'proxies'];
/** Those that start a Kafka broker and NATS servers. */
const WITH_LOGS = ['contract', 'fault'];
/** Older ones lack sharded pub/sub; Ubuntu 22.04 brings one. */
const REDIS_MAJOR = 7;
/** The proxies with a file in docs/deployment, by what asks them for their version, and curl: a client that nobody here wrote. */
const PROXIES = new Map([
  ['nginx', '-v'],
  ['haproxy', '-v'],
  ['caddy', 'version'],
  ['curl', '--version'],
]);
const jestArgs = process.argv.slice(2);
const selected = selectedProjects(jestArgs);
const needs = (project) => selected.length === 0 || selected.includes(project);

if (['nest11', 'ioredis5'].some(needs)) ensureNest11();
const env = { ...process.env };
if (['browser', 'consumers'].some(needs)) env.CHROMIUM_PATH = ensureChromium();
if (WITH_REDIS.some(needs)) ensureRedis();
if (WITH_LOGS.some(needs)) {
  ensureKafka();
  ensureNats();
}
if (['repo', 'e2e', 'nest11'].some(needs)) ensurePromtool();
if (needs('proxies')) {
  ensureProxies();
  env.TEST_PYTHON = ensurePython();
}
if (['browser', 'e2e', 'nest11', 'fault', 'perf', 'consumers'].some(needs)) build();
if (needs('consumers')) run(process.execPath, ['scripts/package/pack.mjs']);

env.NODE_OPTIONS = [env.NODE_OPTIONS, '--experimental-vm-modules', '--disable-warning=ExperimentalWarning']
  .filter(Boolean)
  .join(' ');
const jest = fileURLToPath(new URL('../node_modules/jest/bin/jest.js', import.meta.url));
const apart = SEPARATE.flatMap(({ projects }) => projects);
const others = PROJECTS.filter((project) => needs(project) && !apart.includes(project));
const isChosen = jestArgs.some((arg) => WORKERS.test(arg));
const statuses = [];
// Nothing secret in any output, log or result of the run (G23).
forgetNotes();
const leaks = [];
if (others.length > 0) statuses.push(await runJest(others, isChosen ? jestArgs : [...jestArgs, TOGETHER]));
for (const { projects, workers } of SEPARATE) {
  const chosen = projects.filter(needs);
  if (chosen.length === 0) continue;
  const args = (workers === IN_BAND ? withoutWorkers(jestArgs) : jestArgs).map((arg) =>
    arg.replace(/^(--outputFile=.*)\.json$/, `$1.${projects[0]}.json`),
  );
  statuses.push(await runJest(chosen, isChosen && workers !== IN_BAND ? args : [...args, workers]));
}
leaks.push(...readNotes());
if (leaks.length > 0) {
  console.error(`The output of the tests has ${leaks.length} tokens, tickets or payloads:`);
  for (const leak of new Set(leaks)) console.error(`  ${leak}`);
  statuses.push(1);
}
process.exit(Math.max(...statuses));

async function runJest(projects, args) {
  const rest = withoutProjects(args);
  // Measured for each, since the last begins many minutes after the first.
  const TEST_SLOWNESS = process.env.TEST_SLOWNESS || String(await measureSlowness());
  console.log(
    `Time-outs of the tests: for a machine that is ${TEST_SLOWNESS} times slower than the reference machine`,
  );
  const { status, findings } = await runScanned(
    process.execPath,
    [jest, '--watchAll=false', ...rest, '--selectProjects', ...projects],
    // A pipe is no terminal, for which jest would leave its colours out.
    {
      cwd: root,
      env: { ...env, TEST_SLOWNESS, ...(process.stdout.isTTY && { FORCE_COLOR: '1' }) },
    },
  );
  const results = rest.flatMap((arg) => /^--outputFile=(.+)$/.exec(arg)?.[1] ?? []);
  leaks.push(...findings, ...findSecretsInFiles(results));
  return status;
}

/** Arguments without `--selectProjects` and its values. */
function withoutProjects(args) {
  const rest = [];
  let skipping = false;
  for (const arg of args) {
    if (arg.startsWith('-')) skipping = arg === '--selectProjects';
    if (!skipping && !arg.startsWith('--selectProjects=')) rest.push(arg);
  }
  return rest;
}

/** Arguments without those that choose workers, and their numbers. */
function withoutWorkers(args) {
  return args.filter(
    (arg, index) =>
      !WORKERS.test(arg) && !(/^\d+%?$/.test(arg) && /^(-w|--maxWorkers)$/.test(args[index - 1] ?? '')),
  );
}

/** The values of `--selectProjects a b` and `--selectProjects=a`; none means all. */
function selectedProjects(args) {
  const found = [];
  args.forEach((arg, index) => {
    if (arg.startsWith('--selectProjects=')) found.push(arg.slice('--selectProjects='.length));
    if (arg !== '--selectProjects') return;
    for (const value of args.slice(index + 1)) {
      if (value.startsWith('-')) break;
      found.push(value);
    }
  });
  return found;
}

/** Installs the Nest 11 packages, unless they were installed from the lock file as it is now. */
function ensureNest11() {
  const folder = `${root}test/nest11`;
  // npm writes this file when an installation is complete.
  const marker = `${folder}/node_modules/.package-lock.json`;
  const fresh =
    existsSync(marker) && statSync(marker).mtimeMs >= statSync(`${folder}/package-lock.json`).mtimeMs;
  if (fresh) return;
  console.log('Installing the Nest 11 packages of test/nest11');
  // Under `npm test --silent` even the errors of this npm would be silent.
  run('npm', ['ci', '--no-progress', '--loglevel=error', '--prefix', folder]);
}

/** The library, and the sample that is compiled against it. dist/ is not emptied first: another run may be reading it. */
function build() {
  const tsc = `${root}node_modules/typescript/bin/tsc`;
  run(process.execPath, [tsc, '-p', 'tsconfig.build.json']);
  if (existsSync(`${root}sample/chat/main.ts`)) run(process.execPath, [tsc, '-p', 'tsconfig.sample.json']);
}

function ensureChromium() {
  let path = findChromium();
  if (!path && !process.env.CHROMIUM_PATH && isDebianRoot()) {
    installPackages(['chromium']);
    path = findChromium();
  }
  if (!path) {
    console.error(
      'The browser tests need Chromium: install it so that `chromium`, `chromium-browser` or `google-chrome` is on the PATH, or set CHROMIUM_PATH to its executable.',
    );
    process.exit(1);
  }
  return path;
}

/** The tests start servers of their own; only the programs must be there. */
function ensureRedis() {
  const missing = () =>
    ['redis-server', 'redis-sentinel', 'redis-cli'].filter((program) => {
      const { stdout } = spawnSync(program, ['--version'], { encoding: 'utf8' });
      return Number(/(?:v=|-cli )(\d+)/.exec(stdout ?? '')?.[1] ?? 0) < REDIS_MAJOR;
    });
  if (missing().length > 0 && isDebianRoot()) installPackages(['redis-server', 'redis-sentinel']);
  if (missing().length === 0) return;
  console.error(
    `The tests of the Redis broker need Redis ${REDIS_MAJOR} or newer: put ${missing().join(', ')} on the PATH. No server needs to run.`,
  );
  process.exit(1);
}

/** Java and Maven, and what Maven downloads once. */
function ensureKafka() {
  if (findKafka() !== undefined && hasProgram('java', '-version')) return;
  const hasTools = () => hasProgram('java', '-version') && hasProgram('mvn', '-version');
  if (!hasTools() && isDebianRoot()) installPackages(['default-jre-headless', 'maven']);
  if (hasTools()) {
    console.log('Downloading Kafka for its tests');
    if (downloadKafka()) return;
  }
  console.error(KAFKA_REMEDY);
  process.exit(1);
}

/** The tests start servers of their own; only the program must be there. */
function ensureNats() {
  if (findNats() === undefined && isDebianRoot()) installPackages(['nats-server']);
  if (findNats() !== undefined) return;
  console.error(NATS_REMEDY);
  process.exit(1);
}

function hasProgram(program, version) {
  return spawnSync(program, [version]).status === 0;
}

/** Checks metrics and the alert rules of docs/monitoring. Debian has it in the package of the server, which need not run. */
function ensurePromtool() {
  const isMissing = () => spawnSync('promtool', ['--version']).status !== 0;
  if (isMissing() && isDebianRoot()) installPackages(['prometheus']);
  if (!isMissing()) return;
  console.error('The tests of the metrics need promtool on the PATH: it comes with Prometheus.');
  process.exit(1);
}

/** The tests start proxies of their own on free ports; only the programs must be there. */
function ensureProxies() {
  const missing = () =>
    [...PROXIES]
      .filter(([program, version]) => spawnSync(program, [version]).status !== 0)
      .map(([name]) => name);
  if (missing().length > 0 && isDebianRoot()) installPackages(missing());
  if (missing().length === 0) return;
  console.error(
    `The tests of the proxies need ${missing().join(', ')} on the PATH. None of them needs to run.`,
  );
  process.exit(1);
}

/** An environment of Python with the packages that the tests of other clients need, in test-artifacts/. @returns its program */
function ensurePython() {
  const folder = `${root}test-artifacts/python`;
  const python = `${folder}/bin/python`;
  const wanted = `${root}test/proxies/clients/requirements.txt`;
  const marker = `${folder}/requirements.txt`;
  const text = readFileSync(wanted, 'utf8');
  if (existsSync(marker) && readFileSync(marker, 'utf8') === text) return python;
  const make = () => spawnSync('python3', ['-m', 'venv', '--clear', folder]).status === 0;
  if (!make() && isDebianRoot()) installPackages(['python3-venv']);
  const install = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', wanted];
  if ((existsSync(python) || make()) && spawnSync(python, install, { stdio: 'inherit' }).status === 0) {
    writeFileSync(marker, text);
    return python;
  }
  console.error(
    'The tests of clients in Python need Python 3 with venv, and the packages of test/proxies/clients/requirements.txt from a package index that pip can reach.',
  );
  process.exit(1);
}

/** From Debian or Ubuntu, without starting what they bring. */
function installPackages(names) {
  const options = ['-o', 'DPkg::Lock::Timeout=300', '-q'];
  const quiet = { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } };
  run('apt-get', [...options, 'update'], quiet);
  withoutAutostart(() =>
    run('apt-get', [...options, 'install', '-y', '--no-install-recommends', ...names], quiet),
  );
}

/** A package's own server would take the default port. */
function withoutAutostart(work) {
  const file = '/usr/sbin/policy-rc.d';
  const mine = !existsSync(file);
  if (mine) writeFileSync(file, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    work();
  } finally {
    if (mine) rmSync(file, { force: true });
  }
}

function isDebianRoot() {
  if (process.platform !== 'linux' || process.getuid() !== 0 || !existsSync('/etc/os-release')) return false;
  return /^ID(_LIKE)?=.*(debian|ubuntu)/m.test(readFileSync('/etc/os-release', 'utf8'));
}

/** Runs a preparing command and stops with its exit code if it fails. */
function run(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    ...options,
  });
  if (error) console.error(`${command}: ${error.message}`);
  if (status !== 0) process.exit(status ?? 1);
}
