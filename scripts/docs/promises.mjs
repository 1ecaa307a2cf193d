// Which tests prove which clause of the protocol and which guarantee: docs/promises.md in short (`npm run docs`), and every
// test by its title in test-artifacts/promises-full.md (`npm run docs -- --full`), which CI keeps and nobody commits.
// Titles are read from the syntax tree, so a test in a comment, or one that is skipped, proves nothing.
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import ts from 'typescript';
import { slug } from './markdown.mjs';

/** Clauses and guarantees without a test, since this version does not keep them yet. Every other one must have a test. */
export const RESERVED = [];

const TESTS = new Set(['it', 'test', 'fit']);
const GROUPS = new Set(['describe', 'fdescribe']);
/** A test that is expected to fail, or is not run, proves nothing. */
const SILENT = new Set(['skip', 'todo', 'failing']);
const ID = /\b([PG])(\d{1,2})([a-z])?\b/g;
const RANGE = /\b([PG])(\d{1,2})\s*(?:–|-|\.\.)\s*\1?(\d{1,2})\b/g;

function span(letter, first, last) {
  return Array.from({ length: last - first + 1 }, (_, index) => `${letter}${first + index}`);
}

/**
 * The clauses that a title names, without the letters of sub-clauses: `P1, P2a and G4–G6` names P1, P2, G4, G5 and G6.
 *
 * @param {string} title
 */
export function idsOf(title) {
  return [...new Set(namesOf(title).map((name) => name.replace(/[a-z]$/, '')))];
}

/** Like {@link idsOf}, with the letters. */
export function namesOf(title) {
  const names = new Set();
  for (const [, letter, first, last] of title.matchAll(RANGE)) {
    for (const id of span(letter, Number(first), Number(last))) names.add(id);
  }
  for (const [, letter, number, sub = ''] of title.matchAll(ID))
    names.add(`${letter}${Number(number)}${sub}`);
  return [...names];
}

/**
 * Clauses by id, from the headings (`#### P15 Acknowledged …`) and the sub-clauses (`- **P15a** …`) of a document.
 *
 * @param {string} markdown
 * @returns {{clauses: Map<string, {title: string, anchor: string}>, subs: Set<string>}}
 */
export function readClauses(markdown) {
  const clauses = new Map();
  for (const [, id, title] of markdown.matchAll(/^#{2,5} ([PG]\d+) (.+)$/gm)) {
    clauses.set(id, { title, anchor: slug(`${id} ${title}`) });
  }
  const subs = new Set([...markdown.matchAll(/^\s*- \*\*([PG]\d+[a-z])\b/gm)].map(([, name]) => name));
  return { clauses, subs };
}

/** Contract suites: those that the package ships are below lib/, and specs of test/contract run them. */
const SUITE = /^(lib\/.*|test)\/contract\/.*\.ts$/;

/** Files that hold tests, sorted, relative to the root, with forward slashes. */
export function testFiles(root) {
  return ['lib', 'test']
    .flatMap((folder) => readdirSync(join(root, folder), { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .filter((file) => !file.includes('/node_modules/'))
    .filter((file) => file.endsWith('.spec.ts') || SUITE.test(file))
    .sort();
}

/**
 * The titles of a file's tests, each with those of the groups around it.
 *
 * @param {string} source
 * @returns {{title: string, path: string}[]} `path` is the whole, `title` the test's own
 */
export function testTitles(source) {
  const tree = ts.createSourceFile('test.ts', source, ts.ScriptTarget.ES2022, true);
  const found = [];
  const walk = (node, groups, silent) => {
    const call = ts.isCallExpression(node) ? readCall(node) : undefined;
    if (call !== undefined) {
      const mute = silent || call.silent;
      if (call.kind === 'test') {
        if (!mute) found.push({ title: call.title, path: [...groups, call.title].join(' ') });
        return;
      }
      for (const argument of node.arguments) walk(argument, [...groups, call.title], mute);
      return;
    }
    ts.forEachChild(node, (child) => walk(child, groups, silent));
  };
  walk(tree, [], false);
  return found;
}

/** `it('…')`, `it.each(…)('…')`, `` it.each`…`('…') `` and the same with `test` and `describe`. */
function readCall(node) {
  const words = [];
  let callee = node.expression;
  for (;;) {
    if (ts.isPropertyAccessExpression(callee)) {
      words.push(callee.name.text);
      callee = callee.expression;
    } else if (ts.isCallExpression(callee)) callee = callee.expression;
    else if (ts.isTaggedTemplateExpression(callee)) callee = callee.tag;
    else break;
  }
  if (!ts.isIdentifier(callee)) return undefined;
  const name = callee.text;
  const kind = TESTS.has(name) ? 'test' : GROUPS.has(name) ? 'group' : undefined;
  const title = kind === undefined ? undefined : textOf(node.arguments[0]);
  if (kind === undefined || title === undefined) return undefined;
  return { kind, title, silent: words.some((word) => SILENT.has(word)) };
}

/** The text of a literal; of a template or a sum, the fixed parts. */
function textOf(node) {
  if (node === undefined) return undefined;
  if (ts.isStringLiteralLike(node)) return node.text;
  if (ts.isTemplateExpression(node)) {
    return node.head.text + node.templateSpans.map((part) => `…${part.literal.text}`).join('');
  }
  if (ts.isBinaryExpression(node) && node.operatorToken.kind === ts.SyntaxKind.PlusToken) {
    const [left, right] = [textOf(node.left), textOf(node.right)];
    return left === undefined && right === undefined ? undefined : `${left ?? '…'}${right ?? '…'}`;
  }
  return undefined;
}

/**
 * All tests that name a clause.
 *
 * @param {string} root
 * @returns {{file: string, title: string, names: string[], ids: string[]}[]}
 */
export function readTests(root) {
  return testFiles(root).flatMap((file) =>
    testTitles(readFileSync(join(root, file), 'utf8'))
      .map(({ title, path }) => ({ file, title, names: namesOf(path), ids: idsOf(path) }))
      .filter(({ ids }) => ids.length > 0),
  );
}

/**
 * The clauses and guarantees, and whether a test proves each. It changes with them, not with each test.
 *
 * @param {{document: string, heading: string, clauses: Map<string, {title: string, anchor: string}>}[]} documents
 * @param {ReturnType<typeof readTests>} tests
 * @returns {string} docs/promises.md, before Prettier
 */
export function renderPromises(documents, tests) {
  const proven = new Set(tests.flatMap(({ ids }) => ids));
  const lines = [
    '# What is promised, and what is tested',
    '',
    '<!-- Generated by `npm run docs` from the headings of protocol.md and guarantees.md and the titles of the tests. Do not edit. -->',
    '',
    'Find the tests of a promise by its id: a test names in its title the clauses of the [protocol](protocol.md) and the [guarantees](guarantees.md) that it proves.',
    '',
    '```sh',
    'npm run docs -- --full      # writes test-artifacts/promises-full.md: every id with its tests',
    'npm run test:unit -- -t P15 # runs the unit tests whose titles name P15',
    '```',
    '',
    'A test of this repository fails when an id has no test, or when a title names an id that no document has. A test that is skipped, or expected to fail, proves nothing.',
    '',
  ];
  for (const { document, heading, clauses } of documents) {
    lines.push(`## ${heading}`, '', '| id | about | tested |', '| --- | --- | --- |');
    for (const id of sorted(clauses)) {
      const { title, anchor } = clauses.get(id);
      const tested = proven.has(id) ? 'yes' : 'not yet';
      lines.push(`| [${id}](${document}#${anchor}) | ${title} | ${tested} |`);
    }
    lines.push('');
  }
  return lines.join('\n');
}

/**
 * Every id with its tests, by file.
 *
 * @param {Parameters<typeof renderPromises>[0]} documents
 * @param {ReturnType<typeof readTests>} tests
 * @returns {string} test-artifacts/promises-full.md
 */
export function renderProofs(documents, tests) {
  const lines = ['# Every promise with its tests', ''];
  for (const { document, clauses } of documents) {
    for (const id of sorted(clauses)) {
      const { title, anchor } = clauses.get(id);
      const proofs = tests.filter(({ ids }) => ids.includes(id));
      lines.push(
        `## ${id} ${title}`,
        '',
        `[${document}](../docs/${document}#${anchor}), tests: ${proofs.length}`,
        '',
      );
      for (const file of new Set(proofs.map((proof) => proof.file))) {
        lines.push(`- [${file}](../${file})`);
        const titles = proofs.filter((proof) => proof.file === file).map((proof) => proof.title);
        for (const name of new Set(titles)) lines.push(`  - ${escape(name)}`);
      }
      if (proofs.length > 0) lines.push('');
    }
  }
  return lines.join('\n');
}

/** Ids of one document in the order of their numbers; the document may have another. */
function sorted(clauses) {
  return [...clauses.keys()].sort((a, b) => Number(a.slice(1)) - Number(b.slice(1)));
}

/** Keeps a title from being read as Markdown. */
function escape(text) {
  return text.replace(/[\\`*_<>|[\]#~]/g, (character) => `\\${character}`);
}
