// ESLint rule: imports point only as the rooms table of docs/architecture.md says.
// It compares paths, never resolves files: a violation is reported even if the imported file does not exist yet.
import { isBuiltin } from 'node:module';
import { posix, relative, sep } from 'node:path';

const NEST_ROOMS = ['protocol', 'core', 'transports', 'brokers'];
/** Of the storages of brokers: only their rooms know them. */
const DRIVERS = ['ioredis', '@platformatic/kafka', '@nats-io'];
const EDGE = { ours: ['protocol', 'core', 'nest'], forbid: DRIVERS };
// Must run in browsers and workers; `@msgpack/msgpack` is the one package that does and that the codec needs.
const WEB = { onlyPackages: ['@msgpack/msgpack'] };
// Only the room `nest` and the edges around it know Nest.
const NO_NEST = ['@nestjs'];

/**
 * `ours`: the other rooms that may be imported, or floors of one, as paths below lib/. `forbid`: packages that may not. `onlyPackages`: the only packages
 * that may, which excludes Node's own modules.
 */
export const ROOMS = {
  protocol: { ours: [], ...WEB },
  client: { ours: ['protocol'], ...WEB },
  core: { ours: ['protocol'], forbid: [...NO_NEST, 'ws', ...DRIVERS] },
  transports: { ours: ['core/ports', 'core/async', 'protocol'], forbid: [...NO_NEST, ...DRIVERS] },
  // What consumers of any source have in common; the sources are beside their brokers.
  consumers: { ours: ['core/ports', 'core/async', 'protocol'], forbid: [...NO_NEST, 'ws', ...DRIVERS] },
  brokers: { ours: ['core/ports', 'core/async', 'protocol', 'consumers'], forbid: [...NO_NEST, 'ws'] },
  nest: { ours: NEST_ROOMS, forbid: [...DRIVERS, '@nestjs/swagger', '@nestjs/terminus', 'prom-client'] },
  tracing: EDGE,
  health: EDGE,
  moderation: EDGE,
  metrics: EDGE,
  admin: EDGE,
  hooks: EDGE,
  // A sink of it keeps entries in Redis.
  audit: { ours: ['protocol', 'core', 'nest'] },
  // Looks at what all of the others are set to; none of them imports it.
  doctor: {
    ours: ['protocol', 'core', 'transports', 'nest', 'admin'],
    forbid: [...DRIVERS, '@nestjs/swagger', '@nestjs/terminus'],
  },
  asyncapi: EDGE,
  testing: EDGE,
  // lib/index.ts: the main entry needs none of the edges' dependencies.
  'index.ts': {
    ours: [...NEST_ROOMS, 'nest'],
    forbid: [...DRIVERS, '@nestjs/swagger', '@nestjs/terminus', 'prom-client'],
  },
};

/** The floors of lib/core, from the ground up: each may import those before it, none behind it. */
export const FLOORS = [
  'ports',
  'async',
  'channel',
  'access',
  'log',
  'outbox',
  'hub',
  'session',
  'commands',
  'engine',
];

/**
 * Folders inside a room with rules of their own. They may import what `ours` lists, as paths below lib/, and neither
 * packages, but those of `packages`, nor Node's own modules; nothing else in lib/ may import them.
 */
export const CLOSED_FOLDERS = {
  // Runs in the test runner of a broker's author; no server needs it.
  'brokers/contract': { ours: ['core/ports', 'protocol'] },
  // Runs in browsers. Only the types of the package: the server sends its file.
  'admin/dashboard/page': { ours: [], packages: ['uplot'] },
};

const PUBLIC_NAME = 'nestjs-realtime';

/** @type {import('eslint').Rule.RuleModule} */
export const importRooms = {
  meta: {
    type: 'problem',
    docs: { description: 'Imports point only as the rooms table of docs/architecture.md says' },
    schema: [],
    messages: {
      room: '{{from}} may not import {{to}}: it may import {{allowed}} (rooms table in docs/architecture.md).',
      unknown:
        '{{from}} is not a room: add it to scripts/eslint/import-rooms.mjs and to docs/architecture.md.',
      floor:
        '{{from}} may not import {{to}}: it is a floor above it, or none (floors in docs/architecture.md).',
      package: '{{from}} may not import the package {{to}}.',
      bare: '{{from}} needs nothing to be installed: it may not import {{to}}.',
      closed: '{{from}} may not import {{to}}, which only its own files import.',
      only: '{{from}} must run in browsers: it may not import {{to}}.',
      self: 'The library may not import itself by its public name.',
      outside: 'The library may not import {{to}}, which is outside lib/.',
      sample: 'A sample may import only the public entry points, not {{to}}.',
    },
  },
  create(context) {
    const file = toPosix(relative(context.cwd, context.filename));
    const [top, room, ...below] = file.split('/');
    if (top !== 'lib' && top !== 'sample') return {};
    const judge =
      top === 'sample' ? judgeSample : (...args) => judgeRoom(...args) ?? judgeFolder(file, ...args);

    function check(node) {
      if (node?.type !== 'Literal' || typeof node.value !== 'string') return;
      const specifier = node.value;
      const target = specifier.startsWith('.') ? posix.join(posix.dirname(file), specifier) : undefined;
      const problem = judge(specifier, target, room, below);
      if (problem) context.report({ node, ...problem });
    }

    return {
      ImportDeclaration: (node) => check(node.source),
      ExportNamedDeclaration: (node) => check(node.source),
      ExportAllDeclaration: (node) => check(node.source),
      ImportExpression: (node) => check(node.source),
      TSImportType: (node) => check(node.source ?? node.argument?.literal),
      TSExternalModuleReference: (node) => check(node.expression),
      // require('…'), require.resolve('…')
      CallExpression: (node) => {
        const callee = node.callee.type === 'MemberExpression' ? node.callee.object : node.callee;
        if (callee.type === 'Identifier' && callee.name === 'require') check(node.arguments[0]);
      },
    };
  },
};

function judgeRoom(specifier, target, room, below) {
  // A file directly in lib/ is judged by its own name; there is only index.ts.
  const from = below.length > 0 ? `lib/${room}` : `lib/${room} (the main entry)`;
  const rules = Object.hasOwn(ROOMS, room) ? ROOMS[room] : undefined;
  if (!rules) return { messageId: 'unknown', data: { from: `lib/${room}` } };
  if (target === undefined) return judgePackage(specifier, from, rules);

  const [top, to] = target.split('/');
  if (top !== 'lib' || !to) return { messageId: 'outside', data: { to: target } };
  if (to === room) return room === 'core' ? judgeFloor(target, below) : undefined;
  if (rules.ours.some((path) => within(target, path))) return undefined;
  const allowed =
    rules.ours.length > 0 ? rules.ours.map((name) => `lib/${name}`).join(', ') : 'nothing of ours';
  // Of a room of which some floors are allowed, the floor is what is wrong.
  const isPart = rules.ours.some((path) => path.startsWith(`${to}/`));
  const named = isPart ? target.split('/').slice(0, 3).join('/') : `lib/${to}`;
  return { messageId: 'room', data: { from, to: named, allowed } };
}

/** Whether a path lies in a folder of lib/, or is it. */
function within(path, folder) {
  return `${path}/`.startsWith(`lib/${folder}/`);
}

/** Both directions of {@link CLOSED_FOLDERS}. */
function judgeFolder(file, specifier, target) {
  const closedOf = (path) => Object.keys(CLOSED_FOLDERS).find((folder) => within(path, folder));
  const here = closedOf(file);
  if (here === undefined) {
    const there = target === undefined ? undefined : closedOf(target);
    if (there === undefined) return undefined;
    return { messageId: 'closed', data: { from: posix.dirname(file), to: `lib/${there}` } };
  }
  const from = `lib/${here}`;
  const { ours, packages = [] } = CLOSED_FOLDERS[here];
  if (target === undefined)
    return packages.includes(specifier) ? undefined : { messageId: 'bare', data: { from, to: specifier } };
  if ([here, ...ours].some((path) => within(target, path))) return undefined;
  return {
    messageId: 'room',
    data: { from, to: target, allowed: ours.map((path) => `lib/${path}`).join(', ') },
  };
}

/** @param {readonly string[]} below path of the importing file inside lib/core */
function judgeFloor(target, [from]) {
  const to = target.split('/')[2];
  const [own, other] = [FLOORS.indexOf(from), FLOORS.indexOf(to)];
  if (own >= 0 && other >= 0 && other <= own) return undefined;
  return { messageId: 'floor', data: { from: `lib/core/${from}`, to: `lib/core/${to}` } };
}

function judgePackage(specifier, from, { forbid = [], onlyPackages }) {
  const within = (name) => specifier === name || specifier.startsWith(`${name}/`);
  if (within(PUBLIC_NAME)) return { messageId: 'self' };
  if (forbid.some(within)) return { messageId: 'package', data: { from, to: specifier } };
  if (onlyPackages && (isBuiltin(specifier) || !onlyPackages.some(within))) {
    return { messageId: 'only', data: { from, to: specifier } };
  }
  return undefined;
}

function judgeSample(specifier, target) {
  const leavesSample = target !== undefined && target.split('/')[0] !== 'sample';
  // What is below these folders is not in "exports"; an alias could still make it resolve.
  const deep = new RegExp(`^${PUBLIC_NAME}/(lib|dist)(/|$)`).test(specifier);
  return leavesSample || deep ? { messageId: 'sample', data: { to: target ?? specifier } } : undefined;
}

function toPosix(path) {
  return sep === '/' ? path : path.split(sep).join('/');
}
