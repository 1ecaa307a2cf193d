// Writes docs/limits.md (`npm run docs`): every bound of the library. The sentences stand in limit-rows.mjs, the numbers
// are those of the option tables, of the brokers, of the client, and of the constants in lib. An option or constant that may
// be a bound and has neither a row nor a place in the lists of other numbers stops the script, so no bound can be
// forgotten; so does a row without its option. test/repo/docs/limits.spec.ts runs the same checks.
import ts from 'typescript';
import {
  CHANNEL,
  CLIENT,
  FIXED,
  FIXED_GROUPS,
  KAFKA,
  MEMORY,
  MODULE,
  MODULE_GROUPS,
  NATS,
  OTHER_NUMBERS,
  REDIS,
  REPLICATED,
  WEBSOCKET,
} from './limit-rows.mjs';
import { numbersOf } from './options.mjs';

/** Files that declare the option types of all subjects. */
export const LIMIT_FILES = [
  'lib/nest/realtime-options.ts',
  'lib/nest/decorators/channel.decorator.ts',
  'lib/brokers/memory/options.ts',
  'lib/brokers/memory/broker.ts',
  'lib/brokers/redis/options.ts',
  'lib/brokers/replicated/settings.ts',
  'lib/brokers/kafka/options.ts',
  'lib/brokers/nats/options.ts',
  'lib/transports/http/entry-options.ts',
  'lib/transports/websocket/options.ts',
  'lib/client/options.ts',
];

/** Modules that hold their defaults. */
export const LIMIT_MODULES = [
  'lib/nest/options/option-table.ts',
  'lib/brokers/memory/options.ts',
  'lib/brokers/redis/settings.ts',
  'lib/brokers/replicated/settings.ts',
  'lib/brokers/kafka/options.ts',
  'lib/brokers/nats/options.ts',
  'lib/transports/websocket/options.ts',
  'lib/client/options.ts',
];

/**
 * The subjects of the document.
 *
 * @param {Record<string, any>} modules what the {@link LIMIT_MODULES} export, in one object
 */
export function subjectsOf({ MODULE_TABLE, CHANNEL_TABLE, ...modules }) {
  const { storeSettings, redisSettings, WEBSOCKET_DEFAULTS, settingsOf } = modules;
  const { replicatedSettings, kafkaSettings, natsSettings } = modules;
  const { machine, ...shared } = replicatedSettings('kafkaBroker', {}, 1);
  // What follows from another option is said in words.
  const kafka = { ...kafkaSettings({ brokers: 'localhost' }) };
  delete kafka.minInsyncReplicas;
  const { tipCheckMs, replicated, ...redis } = redisSettings({ durability: { level: 'replicated' } });
  const compression = Object.fromEntries(
    Object.entries(WEBSOCKET_DEFAULTS.compression).map(([name, value]) => [`compression.${name}`, value]),
  );
  return [
    {
      name: 'module',
      title: 'The module',
      says: '`RealtimeModule.forRoot({ … })`. What a client may send, and what the node keeps for it. Clients are told those of `limits` in `welcome`.',
      types: ['RealtimeModuleOptions'],
      table: MODULE_TABLE,
      values: compression,
      rows: MODULE,
      groups: MODULE_GROUPS,
    },
    {
      name: 'channel',
      title: 'A channel',
      says: '`@Channel(pattern, { … })`.',
      types: ['ChannelOptions'],
      table: CHANNEL_TABLE,
      values: {},
      rows: CHANNEL,
    },
    {
      name: 'memory',
      title: 'The memory broker',
      says: '`memoryBroker({ … })`.',
      types: ['MemoryBrokerOptions', 'MemoryStoreOptions'],
      table: {},
      values: storeSettings({}),
      rows: MEMORY,
    },
    {
      name: 'redis',
      title: 'The Redis broker',
      says: '`redisBroker({ … })`. Each node has its own.',
      types: ['RedisBrokerOptions'],
      table: {},
      values: {
        ...redis,
        'tipCheck.intervalMs': tipCheckMs,
        'durability.replicas': replicated.replicas,
        'durability.timeoutMs': replicated.timeoutMs,
        db: 0,
      },
      rows: REDIS,
    },
    {
      name: 'replicated',
      title: 'Brokers over an ordered log',
      says: '`kafkaBroker({ … })` and `natsBroker({ … })` have these both. What is “the same on all nodes” decides outcomes: the first node of a log fixes it.',
      types: ['ReplicatedOptions'],
      table: {},
      values: { ...shared, maxBytes: machine.maxBytes, headMs: machine.headMs },
      rows: REPLICATED,
    },
    {
      name: 'kafka',
      title: 'The Kafka broker',
      says: '`kafkaBroker({ … })`.',
      types: ['KafkaLogOptions'],
      table: {},
      values: kafka,
      rows: KAFKA,
    },
    {
      name: 'nats',
      title: 'The NATS broker',
      says: '`natsBroker({ … })`.',
      types: ['NatsLogOptions'],
      table: {},
      values: natsSettings({ servers: 'localhost' }),
      rows: NATS,
    },
    {
      name: 'websocket',
      title: 'The WebSocket transport',
      says: 'Of these the module’s options have `compression` only; the others keep their defaults.',
      types: ['EntryOptions', 'WebSocketTransportOptions'],
      table: {},
      values: { ...WEBSOCKET_DEFAULTS, ...compression },
      rows: WEBSOCKET,
    },
    {
      name: 'client',
      title: 'The client',
      says: '`new RealtimeClient(url, { … })`. A bound of the client protects its page; the server relies on none of them.',
      types: ['RealtimeClientOptions'],
      table: {},
      values: settingsOf({}),
      rows: CLIENT,
    },
  ];
}

/** Names of constants that may be bounds. */
const MAY_BE_BOUND =
  /^(?:MAX|MIN|MOST|LEAST|OLDEST|KEPT|DUE|DEFAULT_LIMIT)(?:_|$)|_(?:MS|BYTES|FORKS|ATTEMPTS)$|PAGE|BATCH|LIMIT$|^PER_TURN$|^AT_ONCE$/;

/**
 * The constants of a source file that are numbers and may be bounds.
 *
 * @param {string} source
 * @returns {{name: string, value: number}[]}
 */
export function constantsOf(source) {
  return [...source.matchAll(/^(?:export )?const ([A-Z][A-Z0-9_]*)(?:: number)? =\s+([^;]+);/gm)]
    .filter(([, name = '', text = '']) => MAY_BE_BOUND.test(name) && /\d/.test(text))
    .filter(([, , text = '']) => !/['"`{[/<]/.test(text))
    .map(([, name, text]) => ({ name, value: evaluate(text) }));
}

/** What an expression of numbers comes to; `NaN` where other names are in it. */
function evaluate(text) {
  const [statement] = ts.createSourceFile('constant.ts', text, ts.ScriptTarget.ES2022).statements;
  const value = (node) => {
    if (ts.isParenthesizedExpression(node)) return value(node.expression);
    if (ts.isNumericLiteral(node)) return Number(node.text);
    if (!ts.isBinaryExpression(node)) return NaN;
    return OPERATIONS.get(node.operatorToken.kind)?.(value(node.left), value(node.right)) ?? NaN;
  };
  return statement !== undefined && ts.isExpressionStatement(statement) ? value(statement.expression) : NaN;
}

const OPERATIONS = new Map([
  [ts.SyntaxKind.PlusToken, (left, right) => left + right],
  [ts.SyntaxKind.MinusToken, (left, right) => left - right],
  [ts.SyntaxKind.AsteriskToken, (left, right) => left * right],
  [ts.SyntaxKind.AsteriskAsteriskToken, (left, right) => left ** right],
]);

/**
 * What is wrong between the rows and the code.
 *
 * @param {string[]} types the files that declare the option types
 * @param {ReturnType<typeof subjectsOf>} subjects
 * @param {Map<string, string>} sources every file of lib, by path
 * @returns {string[]} problems, each with its remedy
 */
export function limitProblems(types, subjects, sources) {
  const others = new Set(Object.values(OTHER_NUMBERS).flat());
  const problems = [];
  const known = new Set();
  const judge = (id, hasRow) => {
    known.add(id);
    if (hasRow === others.has(id)) {
      problems.push(
        hasRow
          ? `${id} has a row and stands in OTHER_NUMBERS: keep one`
          : `${id} has no row: describe it, or say in OTHER_NUMBERS why it bounds nothing`,
      );
    }
  };
  for (const { name, rows, ...subject } of subjects) {
    const options = optionsOf(types, subject);
    for (const { path, value, said } of options) {
      judge(`${name}:${path}`, Object.hasOwn(rows, path));
      if (value === undefined && said === '') problems.push(`${name}:${path} has no default`);
      const written = numberIn(said);
      if (isPlain(path, subject) && written !== value)
        problems.push(`The docstring of ${name}:${path} says the default ${said}, the code says ${value}`);
    }
    for (const path of Object.keys(rows)) {
      if (!options.some((option) => option.path === path))
        problems.push(`${name}:${path} is no option: remove its row`);
    }
  }
  for (const [file, source] of sources) {
    if (file.startsWith('lib/brokers/contract/')) continue;
    for (const { name } of constantsOf(source))
      judge(`${file}#${name}`, Object.hasOwn(FIXED, `${file}#${name}`));
  }
  for (const { name, rows, groups } of subjects)
    if (groups !== undefined) problems.push(...groupProblems(name, rows, groups));
  for (const id of Object.keys(FIXED))
    if (fixedGroupOf(id) === undefined)
      problems.push(`${id} is of no subject: name its folder in FIXED_GROUPS`);
  for (const id of [...Object.keys(FIXED), ...others]) {
    if (!known.has(id)) problems.push(`${id} does not exist: remove it`);
  }
  const bytesOf = new Set(
    [...subjects.map(({ rows }) => rows), FIXED].flatMap((rows) =>
      Object.keys(rows).filter((path) => rows[path].kind === 'bytes'),
    ),
  );
  for (const rows of [...subjects.map((subject) => subject.rows), FIXED]) {
    for (const [path, row] of Object.entries(rows)) {
      if (row.kind === 'count') problems.push(...besideProblems(path, row.beside, bytesOf));
    }
  }
  return problems;
}

/** Each row must stand in one group. */
function groupProblems(name, rows, groups) {
  const placed = groups.flatMap(({ options }) => options);
  return [
    ...Object.keys(rows)
      .filter((path) => placed.filter((other) => other === path).length !== 1)
      .map((path) => `${name}:${path} must stand in one subject of MODULE_GROUPS`),
    ...placed
      .filter((path) => !Object.hasOwn(rows, path))
      .map((path) => `${name}:${path} stands in MODULE_GROUPS and has no row`),
  ];
}

function fixedGroupOf(id) {
  return FIXED_GROUPS.find(({ folders }) => folders.some((folder) => id.startsWith(`${folder}/`)));
}

/** A count must name bounds in bytes, or say why it needs none. */
function besideProblems(path, beside = '', bytesOf) {
  if (/^none: ./.test(beside)) return [];
  const named = [...beside.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name);
  if (named.length === 0)
    return [`${path} is bounded in count: name its bound in bytes, or why it needs none`];
  return named
    .filter((name) => !bytesOf.has(name))
    .map((name) => `${path} names ${name}, which bounds no bytes`);
}

/** @returns {{path: string, value: number | undefined, said: string}[]} */
function optionsOf(types, { types: names, table, values }) {
  const found = names.flatMap((type) => numbersOf(types, type, table));
  return found.map(({ path, row, said }) => ({
    path,
    value: row?.default ?? values[path] ?? numberIn(said),
    said,
  }));
}

/** Whether the default is a number of the code, and no table has it, whose docstring options.mjs compares. */
function isPlain(path, { values }) {
  return values[path] !== undefined;
}

/** The number that a docstring writes as 10 000, 64 MiB, 30 days or, in code quotes, 0.125. */
function numberIn(said) {
  const [, digits, unit = ''] =
    /^([\d.\u00a0 ]+?) ?(GiB|MiB|KiB|days|hours|ms)?$/.exec(said.replaceAll('`', '').trim()) ?? [];
  if (digits === undefined) return undefined;
  return Number(digits.replace(/[^\d.]/g, '')) * (WRITTEN_UNITS[unit] ?? 1);
}

const WRITTEN_UNITS = {
  GiB: 1024 ** 3,
  MiB: 1024 * 1024,
  KiB: 1024,
  days: 86_400_000,
  hours: 3_600_000,
};

/**
 * @param {string[]} types
 * @param {ReturnType<typeof subjectsOf>} subjects
 * @param {Map<string, string>} sources
 * @returns {string} docs/limits.md, before Prettier
 * @throws Error with every problem
 */
export function renderLimits(types, subjects, sources) {
  const problems = limitProblems(types, subjects, sources);
  if (problems.length > 0) throw new Error(`scripts/docs/limits.mjs:\n${problems.join('\n')}`);
  const lines = [
    '# Limits',
    '',
    '<!-- Generated by `npm run docs` from scripts/docs/limits.mjs and the defaults in lib. Do not edit. -->',
    '',
    'Every bound of the library: what it bounds, who is charged, and what happens at the bound. What each option takes is in [options.md](options.md), what a code means in [errors.md](errors.md).',
    '',
    'What is bounded in number is bounded in bytes too: behind a number stands the bound in bytes, or why none is needed.',
    '',
  ];
  for (const { title, says, rows, groups, ...subject } of subjects) {
    lines.push(`## ${title}`, '', says, '');
    const options = optionsOf(types, subject).filter(({ path }) => rows[path] !== undefined);
    const lineOf = ({ path, value, said }) =>
      lineFor(`\`${path}\``, value === undefined ? said : amount(rows[path].kind, value), rows[path]);
    if (groups === undefined) lines.push(...table('option', options.map(lineOf)));
    for (const group of groups ?? []) {
      lines.push(`### ${group.title}`, '', group.says, '');
      const members = group.options.flatMap((path) => options.filter((option) => option.path === path));
      lines.push(...table('option', members.map(lineOf)));
    }
  }
  lines.push('## Fixed bounds', '', 'These have no option. Behind a colon stands why.', '');
  for (const group of FIXED_GROUPS) {
    const members = Object.entries(FIXED).filter(([id]) => fixedGroupOf(id) === group);
    lines.push(`### ${group.title}`, '', group.says, '');
    const fixed = members.map(([id, row]) => {
      const [file = '', name = ''] = id.split('#');
      const { value } = constantsOf(sources.get(file) ?? '').find((constant) => constant.name === name);
      return lineFor(`[\`${name}\`](../${file})`, amount(row.kind, value), row);
    });
    lines.push(...table('constant', fixed));
  }
  return lines.join('\n');
}

function table(first, lines) {
  return [`| ${first} | value | bounds | of whom | at the bound |`, '| - | -: | - | - | - |', ...lines, ''];
}

/** @param {string} beside */
function inBytes(beside) {
  return beside.startsWith('none: ')
    ? `No bound in bytes: ${beside.slice('none: '.length)}`
    : `In bytes: ${beside}`;
}

function lineFor(name, value, { kind, what, who, then, beside }) {
  const bytes = kind === 'count' ? `. ${inBytes(beside)}` : '';
  return `| ${name} | ${value} | ${what}${bytes} | ${who} | ${then} |`;
}

const TIMES = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1_000],
];
const SIZES = [
  ['MiB', 1024 * 1024],
  ['KiB', 1024],
];

/** A number with its unit. */
function amount(kind, value) {
  const units = kind === 'time' ? TIMES : kind === 'bytes' ? SIZES : [];
  const [unit, size] = units.find(([, each]) => value > 0 && value % each === 0) ?? [
    kind === 'time' ? 'ms' : '',
    1,
  ];
  const number = String(value / size).replace(/\B(?=(\d{3})+$)/g, ' ');
  return `${number} ${unit}`.trim();
}
