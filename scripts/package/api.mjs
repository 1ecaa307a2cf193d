// `npm run api`: writes what each entry point exports, with its signatures and the types in them, to docs/api/. Without
// `--update` (in CI) it fails when that differs from what is committed, so that no public name comes, changes or goes
// unreviewed.
import { Extractor, ExtractorConfig, ExtractorLogLevel } from '@microsoft/api-extractor';
import { mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { allowed, budget } from './budget.mjs';
import { promisedOnly } from './promised.mjs';
import { undocumentedIn } from './undocumented.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const reports = join(root, 'docs/api');
const scratch = join(root, 'test-artifacts/api');
const update = process.argv.includes('--update');
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

const problems = [];
const documents = [
  'README.md',
  'lib/client/README.md',
  'docs/guide.md',
  'docs/admin-api.md',
  'docs/authentication.md',
  'docs/scaling.md',
  'docs/protocol.md',
  'docs/audit.md',
  'docs/metrics.md',
  'docs/doctor.md',
  'docs/admin-api.md',
  'docs/moderation.md',
  'docs/tracing.md',
  'docs/hooks.md',
  'docs/consumers.md',
];
const texts = new Map(documents.map((file) => [file, readFileSync(join(root, file), 'utf8')]));
const entryPoints = new Map();
const reported = new Set();
for (const [subpath, entry] of Object.entries(manifest.exports)) {
  if (typeof entry === 'string') continue;
  const name = subpath === '.' ? 'main' : subpath.slice('./'.length).replaceAll('/', '-');
  const { names, values } = exportsOf(join(root, entry.types));
  entryPoints.set(subpath.replace(/^\./, 'nestjs-realtime'), names);
  const most = budget.names[subpath] ?? Infinity;
  console.log(`${subpath}: ${names.length} names${most === Infinity ? '' : `, at most ${most}`}`);
  if (names.length > most)
    problems.push(`${subpath} exports ${names.length} names: scripts/package/budget.mjs allows ${most}.`);
  for (const value of values) {
    if (![...texts.values()].some((text) => new RegExp(`\\b${value}\\b`).test(text)))
      problems.push(`${subpath} exports ${value}, which no document mentions.`);
  }
  if (!report(entry.types, name))
    problems.push(`The exports of ${subpath} changed: review docs/api/${name}.api.md after npm run api.`);
  checkDocstrings(subpath, name);
  reported.add(`${name}.api.md`);
}
for (const file of readdirSync(reports))
  if (file.endsWith('.api.md') && !reported.has(file))
    problems.push(`docs/api/${file} is of an entry point that is gone: remove it.`);
problems.push(...promisedOnly(texts, entryPoints));
for (const problem of problems) console.error(problem);
process.exitCode = problems.length > 0 ? 1 : 0;

/** @returns {boolean} whether the report is as committed */
function report(types, name) {
  mkdirSync(reports, { recursive: true });
  mkdirSync(scratch, { recursive: true });
  const config = ExtractorConfig.prepare({
    configObject: {
      projectFolder: root,
      mainEntryPointFilePath: join(root, types),
      compiler: { tsconfigFilePath: join(root, 'tsconfig.build.json') },
      apiReport: {
        enabled: true,
        reportFileName: `${name}.api.md`,
        reportFolder: reports,
        reportTempFolder: scratch,
        includeForgottenExports: true,
      },
      docModel: { enabled: false },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      newlineKind: 'lf',
      messages: {
        compilerMessageReporting: { default: { logLevel: ExtractorLogLevel.Error } },
        // The names are the report; checkDocstrings counts what has no docstring.
        extractorMessageReporting: { default: { logLevel: ExtractorLogLevel.None } },
        tsdocMessageReporting: { default: { logLevel: ExtractorLogLevel.None } },
      },
    },
    configObjectFullPath: undefined,
    packageJsonFullPath: join(root, 'package.json'),
  });
  const result = Extractor.invoke(config, {
    localBuild: update,
    messageCallback: (message) => {
      // The versions of the compilers, once for each entry.
      if (message.logLevel !== ExtractorLogLevel.Error) message.handled = true;
    },
  });
  // A report that differs is the other reason, which is what this returns.
  if (!result.succeeded && (update || !result.apiReportChanged))
    problems.push(`API Extractor failed for ${name}: ${result.errorCount} errors, shown above.`);
  return !result.apiReportChanged || update;
}

/** Counts what has no docstring, in the report that is made from the declarations as they are now. */
function checkDocstrings(subpath, name) {
  const { exported, others } = undocumentedIn(readFileSync(join(scratch, `${name}.api.md`), 'utf8'));
  const most = allowed('undocumented', subpath);
  console.log(
    `${subpath}: ${exported.length} exported without a docstring, at most ${most}; ${others.length} in types that are not exported`,
  );
  if (exported.length > most)
    problems.push(
      `${subpath} exports ${exported.length} declarations without a docstring: scripts/package/budget.mjs allows ${most}.`,
      ...exported.map((line) => `  ${line}`),
    );
}

function exportsOf(file) {
  const program = ts.createProgram([file], {
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    target: ts.ScriptTarget.ES2022,
    types: ['node'],
  });
  const checker = program.getTypeChecker();
  const symbols = checker.getExportsOfModule(checker.getSymbolAtLocation(program.getSourceFile(file)));
  const isValue = (symbol) => {
    const real = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
    const typeOnly = symbol.declarations?.some(
      (declaration) => declaration.isTypeOnly || declaration.parent?.parent?.isTypeOnly,
    );
    return !typeOnly && (real.flags & ts.SymbolFlags.Value) !== 0;
  };
  return {
    names: symbols.map(({ name }) => name),
    values: symbols.filter(isValue).map(({ name }) => name),
  };
}
