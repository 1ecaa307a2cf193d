// `npm run docs` writes the documents that are made from the sources: docs/errors.md, docs/options.md,
// docs/limits.md, docs/promises.md, the routes in docs/admin-api.md, the checks in docs/doctor.md and the table of docs/metrics.md. `npm run docs -- --full` writes test-artifacts/promises-full.md instead, every promise with its tests.
import { build } from 'esbuild';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as prettier from 'prettier';
import ts from 'typescript';
import { renderAdmin } from './admin.mjs';
import { renderDoctor } from './doctor.mjs';
import { renderErrors } from './errors.mjs';
import { renderMetrics } from './metrics.mjs';
import { LIMIT_FILES, LIMIT_MODULES, renderLimits, subjectsOf } from './limits.mjs';
import { OPTION_FILES, renderOptions, sectionsOf } from './options.mjs';
import { readClauses, readTests, renderPromises, renderProofs } from './promises.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));

const documents = [
  { document: 'protocol.md', heading: 'Clauses of the protocol' },
  { document: 'guarantees.md', heading: 'Guarantees' },
].map((entry) => {
  const { clauses } = readClauses(readFileSync(join(root, 'docs', entry.document), 'utf8'));
  return { ...entry, clauses };
});
const tests = readTests(root);

if (process.argv.includes('--full')) {
  await write('test-artifacts/promises-full.md', renderProofs(documents, tests));
} else {
  const { ROUTES } = await loadBundled('lib/admin/routes/index.ts');
  await write('docs/admin-api.md', renderAdmin(read('docs/admin-api.md'), ROUTES));
  const { CHECKS } = await loadBundled('lib/doctor/checks/index.ts');
  await write('docs/doctor.md', renderDoctor(read('docs/doctor.md'), CHECKS));
  const { METRICS } = await load('lib/metrics/table/index.ts');
  await write('docs/metrics.md', renderMetrics(read('docs/metrics.md'), METRICS));
  const { ERROR_CODES } = await load('lib/protocol/error-codes.ts');
  const { CLOSE_CODES, closeActionOf } = await load('lib/protocol/close-codes.ts');
  const meanings = await load('lib/protocol/meanings.ts');
  await write(
    'docs/errors.md',
    renderErrors(
      ERROR_CODES,
      CLOSE_CODES,
      meanings,
      closeActionOf,
      JSON.parse(read('scripts/docs/error-table.json')),
    ),
  );
  const tables = await load('lib/nest/options/option-table.ts');
  await write('docs/options.md', renderOptions(OPTION_FILES.map(read), sectionsOf(tables)));
  const defaults = await Promise.all(LIMIT_MODULES.map(load));
  const sources = new Map(
    readdirSync(join(root, 'lib'), { recursive: true })
      .map((name) => `lib/${name}`)
      .filter((name) => name.endsWith('.ts'))
      .sort()
      .map((name) => [name, read(name)]),
  );
  await write(
    'docs/limits.md',
    renderLimits(LIMIT_FILES.map(read), subjectsOf(Object.assign({}, ...defaults)), sources),
  );
  await write('docs/promises.md', renderPromises(documents, tests));
}

function read(file) {
  return readFileSync(join(root, file), 'utf8');
}

/** A TypeScript module, with what it imports: no build is needed. */
async function load(file) {
  return await import(urlOf(file));
}

/** The same of a module that many lead to. */
async function loadBundled(file) {
  const options = { bundle: true, format: 'esm', platform: 'node', write: false };
  const { outputFiles } = await build({ ...options, entryPoints: [join(root, file)] });
  return await import(`data:text/javascript,${encodeURIComponent(outputFiles[0].text)}`);
}

function urlOf(file) {
  const { outputText } = ts.transpileModule(readFileSync(join(root, file), 'utf8'), {
    compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 },
  });
  const linked = outputText.replace(/(?<=\bfrom ')[^']+(?=';)/g, (name) =>
    name.startsWith('.')
      ? urlOf(join(dirname(file), name).replace(/\.js$/, '.ts'))
      : import.meta.resolve(name),
  );
  return `data:text/javascript,${encodeURIComponent(linked).replaceAll("'", '%27')}`;
}

async function write(file, markdown) {
  const options = await prettier.resolveConfig(join(root, file));
  const formatted = await prettier.format(markdown, { ...options, parser: 'markdown' });
  mkdirSync(dirname(join(root, file)), { recursive: true });
  writeFileSync(join(root, file), formatted);
  console.log(`${file}: ${formatted.split('\n').length - 1} lines`);
}
