import { describe, expect, it } from '@jest/globals';
import { readdirSync, readFileSync } from 'node:fs';
import * as memory from '../../../lib/brokers/memory/options.js';
import * as kafka from '../../../lib/brokers/kafka/options.js';
import * as nats from '../../../lib/brokers/nats/options.js';
import * as redis from '../../../lib/brokers/redis/settings.js';
import * as replicated from '../../../lib/brokers/replicated/settings.js';
import * as client from '../../../lib/client/options.js';
import { duration, integer } from '../../../lib/core/ports/settings-defaults.js';
import * as tables from '../../../lib/nest/options/option-table.js';
import * as websocket from '../../../lib/transports/websocket/options.js';
import {
  constantsOf,
  LIMIT_FILES,
  limitProblems,
  renderLimits,
  subjectsOf,
  type Subject,
} from '../../../scripts/docs/limits.mjs';
import { sameMarkdown } from '../../support/markdown.js';

const root = new URL('../../../', import.meta.url);
const read = (file: string): string => readFileSync(new URL(file, root), 'utf8');

const types = LIMIT_FILES.map(read);
const sources = new Map(
  readdirSync(new URL('lib', root), { recursive: true, encoding: 'utf8' })
    .map((name) => `lib/${name.replaceAll('\\', '/')}`)
    .filter((name) => name.endsWith('.ts'))
    .map((name) => [name, read(name)]),
);
const modules = { ...tables, ...memory, ...redis, ...replicated, ...kafka, ...nats, ...websocket, ...client };
const subjects = subjectsOf(modules);

const withModuleOption = (table: object): Subject[] =>
  subjectsOf({ ...modules, MODULE_TABLE: { ...tables.MODULE_TABLE, ...table } });

/** The subjects, with other rows for one of them. */
const withRows = (name: string, change: (rows: Subject['rows']) => object): Subject[] =>
  subjects.map((subject) =>
    subject.name === name ? { ...subject, rows: change(subject.rows) as Subject['rows'] } : subject,
  );

describe('docs/limits.md', () => {
  it('is what the rows and the code say; `npm run docs` writes it', () => {
    expect(sameMarkdown(read('docs/limits.md'), renderLimits(types, subjects, sources))).toBe(true);
  });

  it('is stale as soon as a default changes', () => {
    const document = read('docs/limits.md');
    const stale = document.replace(/(`ringSize` +\| +)256/, '$1255');
    expect(stale).not.toBe(document);
    expect(sameMarkdown(stale, renderLimits(types, subjects, sources))).toBe(false);
    expect(() => renderLimits(types, withModuleOption({ ringSize: integer(512) }), sources)).toThrow(
      'The docstring of ringSize says the default 256, option-table.ts says 512',
    );
  });

  it.each([
    ['an option of the module', 'module', 'linger'],
    ['an option of a channel', 'channel', 'history.size'],
    ['an option of the memory broker', 'memory', 'maxIdBytes'],
    ['an option of the Redis broker, inside a group', 'redis', 'tipCheck.intervalMs'],
    ['an option of the transport', 'websocket', 'closeTimeoutMs'],
    ['an option of the client', 'client', 'maxQueuedPublishes'],
  ])('wants a row for %s', (_, name, path) => {
    const without = withRows(name, ({ [path]: _row, ...rows }) => rows);
    expect(limitProblems(types, without, sources)).toContain(
      `${name}:${path} has no row: describe it, or say in OTHER_NUMBERS why it bounds nothing`,
    );
  });

  it('wants each option of the module in one subject', () => {
    const more = withRows('module', ({ linger: _row, ...rows }) => ({
      ...rows,
      ...{ maxTabs: { kind: 'bytes' } },
    }));
    expect(limitProblems(types, more, sources)).toEqual([
      'module:linger has no row: describe it, or say in OTHER_NUMBERS why it bounds nothing',
      'module:maxTabs is no option: remove its row',
      'module:maxTabs must stand in one subject of MODULE_GROUPS',
      'module:linger stands in MODULE_GROUPS and has no row',
    ]);
  });

  it('wants an option for each row', () => {
    const stray = withRows('client', (rows) => ({ ...rows, maxTabs: { kind: 'bytes' } }));
    expect(limitProblems(types, stray, sources)).toEqual(['client:maxTabs is no option: remove its row']);
  });

  it('wants a bound in bytes, or a reason, beside each bound in count', () => {
    const counts = withRows('client', (rows) => ({
      ...rows,
      maxPendingCommands: { kind: 'count' },
      maxQueuedPublishes: { kind: 'count', beside: '`connectTimeoutMs`' },
      maxPresenceMembers: { kind: 'count', beside: 'none: ' },
    }));
    expect(limitProblems(types, counts, sources)).toEqual([
      'maxPendingCommands is bounded in count: name its bound in bytes, or why it needs none',
      'maxQueuedPublishes names connectTimeoutMs, which bounds no bytes',
      'maxPresenceMembers is bounded in count: name its bound in bytes, or why it needs none',
    ]);
  });

  it('wants a row for each constant that may be a bound', () => {
    const more = new Map([...sources, ['lib/core/new.ts', 'export const MAX_NEW_BYTES = 5 * 1_024;\n']]);
    expect(limitProblems(types, subjects, more)).toEqual([
      'lib/core/new.ts#MAX_NEW_BYTES has no row: describe it, or say in OTHER_NUMBERS why it bounds nothing',
    ]);
  });

  it('wants a constant for each fixed row', () => {
    const fewer = new Map([...sources].filter(([file]) => file !== 'lib/core/hub/order-keeper.ts'));
    expect(limitProblems(types, subjects, fewer)).toEqual([
      'lib/core/hub/order-keeper.ts#MAX_HELD does not exist: remove it',
      'lib/core/hub/order-keeper.ts#MAX_HELD_BYTES does not exist: remove it',
      'lib/core/hub/order-keeper.ts#HEAL_PAGE does not exist: remove it',
    ]);
  });

  it('compares the docstrings of the brokers, the transport and the client with the code', () => {
    const settingsOf = () => ({ ...client.settingsOf({}), maxQueuedBytes: 4 * 1_000_000 });
    expect(limitProblems(types, subjectsOf({ ...modules, settingsOf }), sources)).toEqual([
      'The docstring of client:maxQueuedBytes says the default 4 MiB, the code says 4000000',
    ]);
  });

  it('takes every setting of the tables for a number that needs a row', () => {
    expect(() => limitProblems(types, withModuleOption({ ringsize: duration(5) }), sources)).toThrow(
      'option-table.ts has "ringsize", which is no option',
    );
  });

  it('reads the value of a constant', () => {
    expect(
      constantsOf(
        'const MAX_A = 1;\nconst B_MS = 2 ** 3 - 1;\nconst PAGE = (2 + 3) * 1_000;\nconst LIST_MS = [1];',
      ),
    ).toEqual([
      { name: 'MAX_A', value: 1 },
      { name: 'B_MS', value: 7 },
      { name: 'PAGE', value: 5_000 },
    ]);
  });
});
