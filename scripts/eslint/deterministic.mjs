// What lib/brokers/machine may not use: every node that reads the same log must come to the same state, whatever its clock, its chance
// and its process are like. Names for `no-restricted-globals`, patterns for `no-restricted-imports`, selectors for `no-restricted-syntax`.

const REMEDY =
  'The machine is deterministic: time comes with the record (Moment), ids and epochs are derived from the log, and what waits or notifies is the driver (lib/brokers/memory, lib/brokers/replicated).';

/** Clocks, chance, timers, the process and its surroundings. */
const NAMES = [
  'Date',
  'performance',
  'crypto',
  'Intl',
  'setTimeout',
  'setInterval',
  'setImmediate',
  'clearTimeout',
  'queueMicrotask',
  'process',
  'Buffer',
  'global',
  'globalThis',
  'require',
  'fetch',
  'Promise',
  'WeakRef',
  'FinalizationRegistry',
  '__dirname',
  '__filename',
];

export const MACHINE_GLOBALS = NAMES.map((name) => ({ name, message: REMEDY }));

export const MACHINE_IMPORTS = [
  { regex: '^node:', message: REMEDY },
  // Ports of what the machine has not, and its drivers.
  {
    regex: '/(clock|entropy|logger|receipt|probes|listeners)\\.js$|/(memory|redis|replicated|kafka|nats)/',
    message: REMEDY,
  },
];

export const MACHINE_SYNTAX = [
  "MemberExpression[object.name='Math'][property.name='random']",
  'MemberExpression[property.name=/^(localeCompare|toLocale.*)$/]',
  'AwaitExpression',
  ':matches(FunctionDeclaration, FunctionExpression, ArrowFunctionExpression)[async=true]',
  // A list whose order depends on the engine that sorts it.
  "CallExpression[callee.property.name='sort'][arguments.length=0]",
].map((selector) => ({ selector, message: REMEDY }));
