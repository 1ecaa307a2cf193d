// Circles among the imports of a tree, type-only imports included: a file in one cannot be understood without the others.
import { dirname, join, normalize } from 'node:path/posix';
import ts from 'typescript';

/**
 * @param {ReadonlyMap<string, string>} sources texts of TypeScript files, by path
 * @returns {string[][]} the files of each circle
 */
export function circlesOf(sources) {
  const imports = new Map([...sources].map(([file, text]) => [file, importsOf(file, text, sources)]));
  const circles = [];
  // Tarjan's strongly connected components.
  const index = new Map();
  const lowest = new Map();
  const open = [];
  const visit = (file) => {
    index.set(file, index.size);
    lowest.set(file, index.get(file));
    open.push(file);
    for (const next of imports.get(file)) {
      if (!index.has(next)) visit(next);
      if (open.includes(next)) lowest.set(file, Math.min(lowest.get(file), lowest.get(next)));
    }
    if (lowest.get(file) !== index.get(file)) return;
    const found = open.splice(open.indexOf(file));
    if (found.length > 1 || imports.get(file).includes(file)) circles.push(found.sort());
  };
  for (const file of sources.keys()) if (!index.has(file)) visit(file);
  return circles;
}

function importsOf(file, text, sources) {
  return ts
    .preProcessFile(text, true, true)
    .importedFiles.map(({ fileName }) => fileName)
    .filter((name) => name.startsWith('.'))
    .map((name) => normalize(join(dirname(file), name)).replace(/\.js$/, '.ts'))
    .filter((target) => sources.has(target));
}
