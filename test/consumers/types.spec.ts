import { describe, expect } from '@jest/globals';
import { Compilers, MODULE_SETTINGS, type Diagnostic, type ModuleSetting } from './support/compilers.js';
import { INSTALL } from './support/install-lines.js';
import { CLIENT, SERVER } from './support/packages.js';
import { PINS } from './support/pins.js';
import { Workspace } from './support/workspace.js';

/** A project whose sources import every entry point, one file each. */
interface Project {
  readonly name: string;
  readonly folder: string;
  readonly packageName: string;
  /** Which of the package's entry points. */
  readonly only: (entry: string) => boolean;
  readonly options: Readonly<Record<string, unknown>>;
  /** Files that must not be part of the program. */
  readonly without?: RegExp;
  /** Major versions of the compilers. */
  readonly typescript: readonly number[];
}

/** What the optional entries need, and what an application on that Nest has for its own reasons. */
const FOLDERS = {
  nest11: [
    'npm install @nestjs/common@11 @nestjs/core@11 reflect-metadata rxjs@7 @nestjs/platform-ws@11 @nestjs/terminus@11 ioredis@5 @platformatic/kafka@1 @nats-io/transport-node@3 @nats-io/jetstream@3 prom-client@15 @opentelemetry/api@1',
    INSTALL.nest11,
    'npm install --save-dev @types/node@20',
  ],
  nest12: [
    'npm install @nestjs/common@12 @nestjs/core@12 reflect-metadata rxjs@7 @nestjs/platform-ws@12 @nestjs/terminus@12 ioredis@6 @platformatic/kafka@1 @nats-io/transport-node@3 @nats-io/jetstream@3 prom-client@15 @opentelemetry/api@1',
    INSTALL.nest12,
    'npm install --save-dev @types/node@20',
  ],
  client: [INSTALL.client],
};

const isClient = (entry: string): boolean => /^\.\/client(\/|$)/.test(entry);
const onServer = { lib: ['es2022'], types: ['node'] };
const inPage = { lib: ['es2022', 'dom'], types: [] };
const WITHOUT_SERVER = /node_modules\/(@types\/node|@nestjs|rxjs|ws)\//;

/** Each Nest with the compilers of its time; all compilers read nestjs-realtime-client, which has the same declarations as the client within nestjs-realtime. */
const PROJECTS: readonly Project[] = [
  {
    name: 'an application on Nest 11',
    folder: 'nest11',
    packageName: SERVER,
    only: (entry) => !isClient(entry),
    options: onServer,
    typescript: [5, 6],
  },
  {
    name: 'an application on Nest 12',
    folder: 'nest12',
    packageName: SERVER,
    only: (entry) => !isClient(entry),
    options: onServer,
    typescript: [6, 7],
  },
  {
    name: 'a page with the client of nestjs-realtime',
    folder: 'nest12',
    packageName: SERVER,
    only: isClient,
    options: inPage,
    without: WITHOUT_SERVER,
    typescript: [6],
  },
  {
    name: 'a page with nestjs-realtime-client',
    folder: 'client',
    packageName: CLIENT,
    only: () => true,
    options: inPage,
    without: WITHOUT_SERVER,
    typescript: [5, 6, 7],
  },
];

describe('types, with skipLibCheck off', () => {
  const workspace = Workspace.open('types');
  const compilers = new Compilers(workspace, PINS.typescript);

  workspace.first('are installed, and the client brings only MessagePack', async () => {
    await compilers.install();
    for (const [folder, lines] of Object.entries(FOLDERS)) await workspace.project(folder, ...lines);
    expect(workspace.packages('client')).toEqual(['@msgpack/msgpack', CLIENT]);
  });

  for (const project of PROJECTS) {
    for (const setting of MODULE_SETTINGS) {
      workspace.it(
        `have only the expected errors in ${project.name} with moduleResolution ${setting.name}`,
        async () => {
          const entries = entriesOf(workspace, project);
          for (const version of compilersOf(project, setting)) {
            const config = writeProject(workspace, project, setting, version, entries);
            const { diagnostics, files } = await compilers.compile(version, project.folder, config);
            const where = `${project.name}, ${setting.name}, TypeScript ${version}`;
            report(
              where,
              diagnostics.filter((one) => !isOurs(one)),
            );
            expect({ where, found: diagnostics.filter(isOurs) }).toEqual({
              where,
              found: expected(setting, entries),
            });
            expect(files.filter((file) => file.includes(`/${project.packageName}/`))).not.toEqual([]);
            if (project.without !== undefined) {
              expect(files.filter((file) => project.without?.test(file))).toEqual([]);
            }
          }
        },
      );
    }
  }
});

function compilersOf(project: Project, setting: ModuleSetting): string[] {
  const majors = project.typescript.filter((major) => setting.compilers.includes(major));
  return PINS.typescript.filter((version) => majors.includes(Number.parseInt(version)));
}

/** The import specifiers of a package, from its own `exports`. */
function entriesOf(workspace: Workspace, { folder, packageName, only }: Project): string[] {
  const { exports } = workspace.readJson(`${folder}/node_modules/${packageName}/package.json`);
  const entries = Object.keys(exports as object).filter((entry) => entry !== './package.json' && only(entry));
  expect(entries).not.toEqual([]);
  return entries.map((entry) => packageName + entry.slice(1));
}

/** Writes a source per entry and importer, and the tsconfig. @returns the name of the tsconfig. */
function writeProject(
  workspace: Workspace,
  { folder, options }: Project,
  setting: ModuleSetting,
  version: string,
  entries: readonly string[],
): string {
  const sources = entries.flatMap((entry) => setting.importers.map((importer) => sourceOf(entry, importer)));
  for (const { file, text } of sources) workspace.write(`${folder}/${file}`, text);
  const config = 'tsconfig.json';
  const compilerOptions = {
    target: 'es2022',
    strict: true,
    skipLibCheck: false,
    exactOptionalPropertyTypes: true,
    noEmit: true,
    ...options,
    ...setting.options,
    ...(version.startsWith('6.') ? { ignoreDeprecations: '6.0' } : {}),
  };
  const files = sources.map(({ file }) => file);
  workspace.write(`${folder}/${config}`, JSON.stringify({ compilerOptions, files }, null, 2));
  return config;
}

/** What applications write of options that come from the environment, where they may be missing. */
const USES: Readonly<Record<string, string>> = {
  'nestjs-realtime': `entry.RealtimeModule.forRoot({ auth: { jwt: { secret: process.env['SECRET'] } }, ticketSecret: process.env['TICKETS'] });\n`,
  'nestjs-realtime/kafka': `entry.kafkaBroker({ brokers: 'localhost', sasl: { mechanism: 'PLAIN', username: process.env['USER'], password: process.env['PASSWORD'] } });\n`,
  'nestjs-realtime/nats': `entry.natsBroker({ servers: 'localhost', user: process.env['USER'], password: process.env['PASSWORD'] });\n`,
  'nestjs-realtime/redis': `entry.redisBroker({ url: process.env['REDIS_URL'], password: process.env['PASSWORD'] });\n`,
};

function sourceOf(entry: string, importer: string): { file: string; text: string } {
  return {
    file: fileOf(entry, importer),
    text: `import * as entry from '${entry}';\nexport const names: string[] = Object.keys(entry);\n${USES[entry] ?? ''}`,
  };
}

function fileOf(entry: string, importer: string): string {
  return `${entry.replaceAll('/', '_')}.${importer}`;
}

function expected({ refused }: ModuleSetting, entries: readonly string[]): unknown[] {
  if (refused === undefined) return [];
  return entries.map((entry) => ({
    file: fileOf(entry, refused.importer),
    code: refused.code,
    message: expect.stringContaining('require'),
  }));
}

/** Whether it is in our packages or in the project's own sources. */
function isOurs({ file }: Diagnostic): boolean {
  return !file.includes('node_modules/') || /node_modules\/nestjs-realtime(-client)?\//.test(file);
}

/** Shows what the declarations of other packages hold, which is nobody's fault here. */
function report(where: string, diagnostics: readonly Diagnostic[]): void {
  for (const line of new Set(diagnostics.map(({ file, code }) => `${code} in ${file}`)))
    process.stdout.write(`  ${where}: ${line}\n`);
}
