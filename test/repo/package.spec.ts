import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { CHECKS } from '../../lib/doctor/checks/index.js';
import { allowed } from '../../scripts/package/budget.mjs';
import { contentProblems } from '../../scripts/package/contents.mjs';
import { declarationProblems } from '../../scripts/package/declarations.mjs';
import { DOCUMENTS, relativeLinks, withLinks, withoutPadding } from '../../scripts/package/documents.mjs';
import { installScripts } from '../../scripts/package/install-scripts.mjs';
import { entryFiles, manifests } from '../../scripts/package/manifests.mjs';
import { promisedOnly } from '../../scripts/package/promised.mjs';
import { packagesOf, reachable } from '../../scripts/package/reachable.mjs';
import { undocumentedIn } from '../../scripts/package/undocumented.mjs';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'realtime-package-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function write(files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
}

describe('the files of a package', () => {
  it('a package contains what its entry points import: code, declarations, dynamic imports and types, and nothing else', () => {
    write({
      'dist/index.js': `export { a } from './a.js';\nconst later = () => import('./later.js');`,
      'dist/index.d.ts': `export { a } from './a.js';\nexport declare const b: import("./types.js").B;`,
      'dist/a.js': `import './effect.js';\nexport const a = "from './text.js'";`,
      'dist/a.d.ts': 'export declare const a: string;',
      'dist/later.js': '',
      'dist/effect.js': '',
      'dist/types.d.ts': 'export type B = 1;',
      'dist/unused.js': '',
    });
    expect(reachable(folder, ['./dist/index.js', './dist/index.d.ts'])).toEqual([
      'dist/a.d.ts',
      'dist/a.js',
      'dist/effect.js',
      'dist/index.d.ts',
      'dist/index.js',
      'dist/later.js',
      'dist/types.d.ts',
    ]);
    expect(() => reachable(folder, ['dist/missing.js'])).toThrow(
      'dist/missing.js is not there: run npm run build',
    );
  });

  it('declarations of an entry lead to no package that it does not need', () => {
    write({
      'package.json': JSON.stringify({
        exports: {
          './nats': { types: './dist/nats.d.ts', import: './dist/nats.js' },
          './redis': { types: './dist/redis.d.ts', import: './dist/redis.js' },
          './package.json': './package.json',
        },
      }),
      'dist/nats.d.ts': `import 'node:net';
import '@nestjs/common';
export type { R } from './lane.js';`,
      'dist/lane.d.ts': `import type { Link } from './link.js';
export interface R {}`,
      'dist/link.d.ts': `import type { NatsConnection } from '@nats-io/transport-node';`,
      'dist/redis.d.ts': `import type { Redis } from 'ioredis';`,
    });
    expect(declarationProblems(folder)).toEqual([
      'dist/link.d.ts imports @nats-io/transport-node, and ./nats leads to it: declare what is public elsewhere.',
    ]);
  });

  it('a package contains JavaScript that no declaration imports: side effects, lazy modules and re-exports', () => {
    write({
      'dist/index.js': `import './effect.js';\nexport * from './names.js';\nvoid import('./lazy.js');`,
      'dist/index.d.ts': 'export {};',
      'dist/effect.js': `import { deep } from './deep.js';\ndeep();`,
      'dist/names.js': `require('./required.js');`,
      'dist/required.js': '',
      'dist/lazy.js': '',
      'dist/deep.js': 'export const deep = () => undefined;',
    });
    expect(reachable(folder, ['dist/index.js'])).toEqual([
      'dist/deep.js',
      'dist/effect.js',
      'dist/index.js',
      'dist/lazy.js',
      'dist/names.js',
      'dist/required.js',
    ]);
  });

  it('the imported packages are found by name, without those in examples and strings', () => {
    const text = `/// <reference types="node" />
/** @example import { x } from 'example'; */
import { a } from '@nestjs/common/constants.js';
import type { b } from 'ws';
const text = "from 'text'";
export const c: import('rxjs').Observable<1>;
const d = import('ioredis');
const e = require('pg');`;
    expect(packagesOf(text)).toEqual(['@nestjs/common', 'ws', 'rxjs', 'ioredis', 'pg', 'node']);
  });
});

describe('the check of a package', () => {
  const manifest = (fields: object) => JSON.stringify({ name: 'p', ...fields });
  beforeEach(() => write({ LICENSE: 'MIT', 'README.md': '# p' }));

  it.each<[string, Record<string, string>, object, string]>([
    ['a map', { 'dist/a.js.map': '{}' }, {}, 'dist/a.js.map maps to sources that are not in the package.'],
    [
      'import.meta',
      { 'dist/a.js': 'export const here = import.meta.url;' },
      {},
      'dist/a.js needs import.meta, which tests that are compiled to CommonJS cannot load.',
    ],
    [
      'an unknown package',
      { 'dist/a.js': `import 'other';` },
      {},
      'dist/a.js imports other, which is no dependency.',
    ],
    [
      'a package that only development has',
      { 'dist/a.d.ts': `import type { X } from '@types/x';` },
      { devDependencies: { '@types/x': '1' } },
      'dist/a.d.ts imports @types/x, which is no dependency.',
    ],
    [
      "Node's own modules, in a package for pages",
      { 'dist/a.js': `import { join } from 'node:path';` },
      { dependencies: {} },
      'dist/a.js imports node:path, which is no dependency.',
    ],
    [
      'types that it does not bring, by reference',
      { 'dist/a.d.ts': '/// <reference types="node" />' },
      {},
      'dist/a.d.ts imports node, which is no dependency.',
    ],
    [
      'types of ws',
      { 'dist/a.d.ts': `import type { WebSocket } from 'ws';` },
      { dependencies: { ws: '8' } },
      'dist/a.d.ts needs the types of ws, which it does not bring.',
    ],
    [
      'a link out of the package',
      { 'docs/a.md': '[there](../../b.md)' },
      {},
      'docs/a.md links to ../../b.md, which is not in the package.',
    ],
    [
      'a dead link',
      { 'README.md': '[there](docs/b.md)' },
      {},
      'README.md links to docs/b.md, which is not in the package.',
    ],
    [
      'a dead anchor',
      { 'README.md': '# Here\n\n[there](#there)' },
      {},
      'README.md links to #there, a heading that is not there.',
    ],
  ])('reports %s', (_what, files, fields, problem) => {
    write({ ...files, 'package.json': manifest(fields) });
    expect(contentProblems(folder)).toEqual([problem]);
  });

  it('accepts valid dependencies, peers, addresses and links', () => {
    write({
      'package.json': manifest({ dependencies: { ws: '8' }, peerDependencies: { rxjs: '7' } }),
      'dist/a.js': `import { WebSocket } from 'ws';\nimport { of } from 'rxjs';\nimport { join } from 'node:path';`,
      'README.md':
        '# Here\n\n[a](#here) [b](docs/b.md#there) [c](https://example.com/#x)\n\n```ts\n[d](dead.md)\n```\n',
      'docs/b.md': '## There\n\n[back](../README.md#here)',
    });
    expect(contentProblems(folder)).toEqual([]);
  });
});

describe('required contents of a package', () => {
  it('a package contains a licence, a README and a manifest', () => {
    expect(contentProblems(folder)).toEqual([
      'LICENSE is not there.',
      'README.md is not there.',
      'package.json is not there.',
    ]);
  });

  it('a package has no install script, also in its dependencies, and a complete lock file', () => {
    const packages = {
      'node_modules/a': { dependencies: { b: '1', c: '1' } },
      'node_modules/b': { hasInstallScript: true, dependencies: { a: '1' } },
      'node_modules/dev': { hasInstallScript: true },
    };
    expect(installScripts(['a'], { packages })).toEqual([
      'c is not in package-lock.json: run npm run lock.',
      'b has an install script.',
    ]);
    expect(installScripts([], { packages })).toEqual([]);
  });

  it('each measure has a size limit; a missing limit allows nothing', () => {
    expect(allowed('tarballs', 'nestjs-realtime', 'files')).toBeGreaterThan(0);
    expect(() => allowed('tarballs', 'nestjs-realtime', 'weight')).toThrow(
      'scripts/package/budget.mjs has no number for tarballs nestjs-realtime weight.',
    );
    expect(() => allowed('undocumented', './none')).toThrow('no number for undocumented ./none');
  });
});

describe('a report of the exports', () => {
  it('exports without a docstring are named, and separately types that are not exported', () => {
    const report = [
      '// @public',
      'export interface A {',
      '    readonly told: string;',
      '    // (undocumented)',
      '    readonly untold: string;',
      '}',
      '',
      '// (undocumented)',
      'export type B = 1;',
      '',
      '// @public',
      'interface C {',
      '    // (undocumented)',
      '    hidden(): void;',
      '}',
    ].join('\n');
    expect(undocumentedIn(report)).toEqual({
      exported: ['A: readonly untold: string;', 'export type B = 1;'],
      others: ['C: hidden(): void;'],
    });
  });
});

describe('the documents of a package', () => {
  const shipped = new Map([
    ['lib/client/README.md', 'README.md'],
    ['docs/guide.md', 'docs/guide.md'],
  ]);
  const about = { repository: { url: 'git+https://example.com/a/b.git' }, version: '1.2.3' };

  it('documents link to packaged files by their place, and to other files by their address at that version', () => {
    const markdown = [
      '[guide](../../docs/guide.md#testing) [error](../../docs/errors.md#a) ![chat](../../docs/images/chat.png)',
      '[here](#here) [there](https://example.com/x)',
      '```ts\n[code](../../docs/errors.md)\n```',
    ].join('\n');
    expect(withLinks(markdown, 'lib/client/README.md', shipped, about)).toBe(
      [
        '[guide](docs/guide.md#testing) [error](https://example.com/a/b/blob/v1.2.3/docs/errors.md#a) ' +
          '![chat](https://example.com/a/b/raw/v1.2.3/docs/images/chat.png)',
        '[here](#here) [there](https://example.com/x)',
        '```ts\n[code](../../docs/errors.md)\n```',
      ].join('\n'),
    );
    expect(relativeLinks(markdown)).toHaveLength(4);
  });

  it('documents are in the package without what aligns their tables, and with their code as it is', () => {
    expect(
      withoutPadding('| a   | b |\n| --- | ------ |\n| one \\| two  |   |\n\n```\n| x    |\n```\na   | b'),
    ).toBe('| a | b |\n| --- | --- |\n| one \\| two | |\n\n```\n| x    |\n```\na   | b');
  });

  it('all documents that a text or comment of the library names are in the package of the server', () => {
    const there = DOCUMENTS['nestjs-realtime'] ?? {};
    const lib = join(import.meta.dirname, '../../lib');
    const named = readdirSync(lib, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts'))
      .flatMap((file) => {
        const text = readFileSync(join(lib, file), 'utf8');
        const seen = [...text.matchAll(/\bdocs\/[\w/-]+\.\w+/g)].map(([path]) => path);
        const of = [...text.matchAll(/\bsee: '([\w-]+\.md)/g)].map(([, path = '']) => `docs/${path}`);
        return [...seen, ...of].map((path) => `${file} names ${path}`);
      });
    expect(named.length).toBeGreaterThan(50);
    expect(named.filter((line) => !Object.hasOwn(there, line.replace(/.* names /, '')))).toEqual([]);
    // Where the findings of the doctor lead.
    const seen = CHECKS.map(({ see }) => `docs/${see.replace(/#.*/, '')}`);
    expect(seen.filter((path) => !Object.hasOwn(there, path))).toEqual([]);
  });

  it('documents import only what is exported', () => {
    const documents = new Map([
      [
        'a.md',
        "```ts\nimport { A, type B as C } from 'nestjs-realtime';\nimport { D } from 'nestjs-realtime-client/x';\n```",
      ],
      [
        'b.md',
        "`import { Z } from 'nestjs-realtime'` in a sentence\n```ts\nimport {\n  E,\n} from 'nestjs-realtime/client';\n```",
      ],
      ['c.md', "```ts\nimport { F } from 'nestjs-realtime/none';\n```"],
    ]);
    const entries = new Map([
      ['nestjs-realtime', ['A']],
      ['nestjs-realtime/client', []],
      ['nestjs-realtime/client/x', ['D']],
    ]);
    expect(promisedOnly(documents, entries)).toEqual([
      'a.md imports B from nestjs-realtime: not exported.',
      'b.md imports E from nestjs-realtime/client: not exported.',
      'c.md imports from nestjs-realtime/none, which is not there.',
    ]);
  });
});

describe('the two manifests', () => {
  const root = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8')) as Record<
    string,
    unknown
  >;
  const [server, client] = manifests(root);

  it('both manifests have one version, and no development fields', () => {
    expect([server?.['version'], client?.['version']]).toEqual([root['version'], root['version']]);
    for (const manifest of [server, client]) {
      for (const field of ['private', 'scripts', 'devDependencies', 'allowScripts'])
        expect(manifest).not.toHaveProperty(field);
      for (const field of ['repository', 'homepage', 'bugs', 'license'])
        expect(manifest).toHaveProperty(field);
    }
  });

  it('the server has all dependencies and peers of package.json, and no others', () => {
    for (const field of ['dependencies', 'peerDependencies', 'peerDependenciesMeta'])
      expect(server?.[field]).toEqual(root[field]);
  });

  it('every peer is optional except Nest and its own requirements', () => {
    const peers = Object.keys(server?.['peerDependencies'] as object);
    const meta = server?.['peerDependenciesMeta'] as Record<string, { optional?: boolean }>;
    expect(peers.filter((name) => meta[name]?.optional !== true).sort()).toEqual([
      '@nestjs/common',
      '@nestjs/core',
      '@nestjs/websockets',
      'reflect-metadata',
      'rxjs',
    ]);
    expect(Object.keys(meta).filter((name) => !peers.includes(name))).toEqual([]);
  });

  it('the client has no peers, and the entry points of nestjs-realtime/client under its own name', () => {
    expect(client).not.toHaveProperty('peerDependencies');
    const { '@msgpack/msgpack': range } = root['dependencies'] as Record<string, string>;
    expect(client?.['dependencies']).toEqual({ '@msgpack/msgpack': range });
    const exported = root['exports'] as Record<string, unknown>;
    expect(client?.exports).toEqual({
      '.': exported['./client'],
      './http': exported['./client/http'],
      './msgpack': exported['./client/msgpack'],
      './package.json': './package.json',
    });
  });

  it('every entry point is listed for older module resolution of TypeScript', () => {
    for (const manifest of [server, client]) {
      if (manifest === undefined) throw new Error('A manifest is missing');
      const typed = (manifest['typesVersions'] as Record<string, Record<string, string[]>>)['*'];
      const all = [manifest['types'], ...Object.values(typed ?? {}).flat()];
      expect(all).toEqual(entryFiles(manifest).filter((file) => file.endsWith('.d.ts')));
    }
  });
});
