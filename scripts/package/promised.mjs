// What the documents import must be exported.
import { fencesOf } from '../docs/markdown.mjs';

/** A fence of TypeScript or JavaScript. */
const CODE = /^[ \t]*```(?:ts|typescript|js|javascript|html)\b/;
/** `import { A, type B as C } from 'nestjs-realtime/…'` */
const IMPORT = /import\s+(?:type\s+)?\{([^}]*)\}\s*from\s*(['"])(nestjs-realtime[^'"]*)\2/g;

/**
 * @param {ReadonlyMap<string, string>} documents their texts, by path
 * @param {ReadonlyMap<string, readonly string[]>} entryPoints exported names, by specifier
 * @returns {string[]} what they import and nothing exports
 */
export function promisedOnly(documents, entryPoints) {
  const problems = [];
  for (const [file, text] of documents) {
    const code = fencesOf(text).filter((fence) => CODE.test(fence));
    for (const [, list, , specifier] of code.join('\n').matchAll(IMPORT)) {
      // The package of the client has the same entry points under its own name.
      const exported = entryPoints.get(
        specifier.replace(/^nestjs-realtime-client/, 'nestjs-realtime/client'),
      );
      if (exported === undefined) problems.push(`${file} imports from ${specifier}, which is not there.`);
      else
        for (const name of namesOf(list))
          if (!exported.includes(name))
            problems.push(`${file} imports ${name} from ${specifier}: not exported.`);
    }
  }
  return problems;
}

function namesOf(list) {
  return list
    .split(',')
    .map(
      (part) =>
        part
          .trim()
          .replace(/^type\s+/, '')
          .split(/\s+as\s+/)[0],
    )
    .filter((name) => name !== '');
}
