// What must be in a package, and what must not: maps without sources, code that tests compiled to CommonJS cannot load, imports that
// nothing brings, links that lead nowhere.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { dirname, join, normalize, relative } from 'node:path';
import { anchorsOf } from '../docs/markdown.mjs';
import { relativeLinks } from './documents.mjs';
import { packagesOf } from './reachable.mjs';

/** Packages that bring no types, so that no declaration may need them. */
const WITHOUT_TYPES = ['ws'];
/** What every package has. */
const NEEDED = ['LICENSE', 'README.md', 'package.json'];

/**
 * @param {string} folder a package, laid out
 * @returns {string[]} what is wrong with its files
 */
export function contentProblems(folder) {
  const missing = NEEDED.filter((name) => !existsSync(join(folder, name)));
  if (missing.length > 0) return missing.map((name) => `${name} is not there.`);
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  return filesIn(folder).flatMap((file) => {
    const path = relative(folder, file);
    if (path.endsWith('.map')) return [`${path} maps to sources that are not in the package.`];
    if (path.endsWith('.md')) return linkProblems(file, path, folder);
    return /\.(js|d\.ts)$/.test(path) ? importProblems(readFileSync(file, 'utf8'), path, manifest) : [];
  });
}

/** What is no part of such a test: what browsers load, and what is imported when a dashboard is served. */
const MODULES_ONLY = ['dist/admin/dashboard/page/', 'dist/admin/dashboard/assets.js'];

function importProblems(text, path, { dependencies, peerDependencies }) {
  const problems = [];
  if (
    path.endsWith('.js') &&
    text.includes('import.meta') &&
    !MODULES_ONLY.some((start) => path.startsWith(start))
  )
    problems.push(`${path} needs import.meta, which tests that are compiled to CommonJS cannot load.`);
  for (const name of packagesOf(text)) {
    // A package without peers is for pages too, where Node's own modules are not.
    const there = isBuiltin(name)
      ? peerDependencies !== undefined
      : Object.hasOwn({ ...dependencies, ...peerDependencies }, name);
    if (!there) problems.push(`${path} imports ${name}, which is no dependency.`);
    if (path.endsWith('.d.ts') && WITHOUT_TYPES.includes(name))
      problems.push(`${path} needs the types of ${name}, which it does not bring.`);
  }
  return problems;
}

function linkProblems(file, path, folder) {
  const problems = [];
  for (const { path: target, anchor } of relativeLinks(readFileSync(file, 'utf8'))) {
    const found = target === '' ? file : normalize(join(dirname(file), target));
    if (relative(folder, found).startsWith('..') || !existsSync(found))
      problems.push(`${path} links to ${target}, which is not in the package.`);
    else if (anchor !== undefined && !anchorsOf(readFileSync(found, 'utf8')).has(anchor))
      problems.push(`${path} links to ${target}#${anchor}, a heading that is not there.`);
  }
  return problems;
}

/** @returns {string[]} all files below a folder */
export function filesIn(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
