// Which files of dist/ a package needs: those that its entry points lead to.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import ts from 'typescript';

/**
 * @param {string} folder
 * @param {readonly string[]} entries paths inside the folder, declarations among them
 * @returns {string[]} paths inside the folder, sorted
 * @throws Error when one of them leads to a file that is not there
 */
export function reachable(folder, entries) {
  const found = new Set();
  const waiting = entries.map((entry) => normalize(entry));
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (found.has(file)) continue;
    if (!existsSync(join(folder, file))) throw new Error(`${file} is not there: run npm run build`);
    found.add(file);
    for (const target of importsOf(readFileSync(join(folder, file), 'utf8'))) {
      if (!target.startsWith('.')) continue;
      const next = normalize(join(dirname(file), target));
      // Declarations name the compiled file that they describe.
      waiting.push(file.endsWith('.d.ts') ? next.replace(/\.js$/, '.d.ts') : next);
    }
  }
  return [...found].sort();
}

/**
 * @param {string} text a module or its declarations
 * @returns {string[]} names of the packages that it imports, Node's own modules included
 */
export function packagesOf(text) {
  const names = importsOf(text).filter((name) => !name.startsWith('.'));
  return [...new Set(names.map((name) => name.split('/', name.startsWith('@') ? 2 : 1).join('/')))];
}

function importsOf(text) {
  const { importedFiles, typeReferenceDirectives } = ts.preProcessFile(text, true, true);
  // `/// <reference types="node" />` needs the package as an import does.
  return [...importedFiles, ...typeReferenceDirectives].map(({ fileName }) => fileName);
}
