import { stat } from 'node:fs/promises';
import { extname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { isApplication, isModule, type DoctorTarget } from './open.js';

/** What was typed cannot be done; the message is one sentence for the person who typed it. */
export class UsageError extends Error {}

const EXAMPLE = 'dist/app.module.js';

/**
 * Loads the file of the root module: ES module or CommonJS.
 *
 * @param text `file` or `file#export`.
 * @throws UsageError
 */
export async function loadTarget(text: string, cwd: string): Promise<DoctorTarget> {
  const at = text.lastIndexOf('#');
  const [file, name] = at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
  const path = resolve(cwd, file);
  await checkFile(file, path);
  const exported = await exportsOf(file, path);
  return name === undefined ? theOneOf(file, exported) : theNamed(file, name, exported);
}

async function checkFile(file: string, path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined)
    throw new UsageError(`There is no file ${file}: build the application first, or correct the path.`);
  if (!found.isFile())
    throw new UsageError(`${file} is no file: give that of the root module, such as ${EXAMPLE}.`);
  if (/^\.[mc]?tsx?$/.test(extname(path)))
    throw new UsageError(
      `${file} is TypeScript: build the application, and give what it was compiled to, such as ${EXAMPLE}.`,
    );
}

async function exportsOf(file: string, path: string): Promise<ReadonlyMap<string, unknown>> {
  let loaded: Readonly<Record<string, unknown>>;
  try {
    loaded = (await import(pathToFileURL(path).href)) as Readonly<Record<string, unknown>>;
  } catch (error) {
    const whole = error instanceof Error ? error.message : String(error);
    // Each of its lines is a mistake with its remedy. Not by class: the application may load a copy of the library of its own.
    const isBoot = error instanceof Error && error.name === 'RealtimeBootError';
    const message = isBoot ? whole : whole.split('\n', 1)[0];
    throw new UsageError(`${file} cannot be loaded: ${message}`, { cause: error });
  }
  // Of CommonJS, `default` is all that the file exports; Node finds most of the names by itself.
  const { default: whole } = loaded;
  const inner = typeof whole === 'object' && whole !== null && !isModule(whole) ? whole : {};
  const names = { ...inner, ...loaded, ...('default' in inner ? { default: inner.default } : {}) };
  return new Map(Object.entries(names));
}

/** The default export, or the one module that is exported, or the one called AppModule. */
function theOneOf(file: string, exported: ReadonlyMap<string, unknown>): DoctorTarget {
  const whole = exported.get('default');
  if (isTarget(whole)) return whole;
  const modules = [...exported].filter(([, value]) => isModule(value) || isApplication(value));
  const named = modules.length === 1 ? modules[0] : modules.find(([name]) => name === 'AppModule');
  if (named !== undefined) return named[1] as DoctorTarget;
  const names = modules.length > 0 ? modules.map(([name]) => name) : namesOf(exported);
  throw new UsageError(
    names.length === 0
      ? `${file} exports nothing: give the file of the root module, such as ${EXAMPLE}.`
      : `${file} exports ${names.join(', ')}: say which is meant, such as ${file}#${names[0]}.`,
  );
}

/** Those that a person gave: what compilers and Node add to CommonJS is none. `default` that could be a target was tried. */
function namesOf(exported: ReadonlyMap<string, unknown>): string[] {
  return [...exported.keys()].filter((name) => !['__esModule', 'default', 'module.exports'].includes(name));
}

function theNamed(file: string, name: string, exported: ReadonlyMap<string, unknown>): DoctorTarget {
  const value = exported.get(name);
  if (isTarget(value)) return value;
  throw new UsageError(
    exported.has(name)
      ? `${name} of ${file} is no module, no application and no function that makes one.`
      : `${file} has no export ${name}: it has ${namesOf(exported).join(', ') || 'none'}.`,
  );
}

function isTarget(value: unknown): value is DoctorTarget {
  return isModule(value) || isApplication(value) || typeof value === 'function';
}
