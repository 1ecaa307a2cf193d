import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'esbuild';

const root = fileURLToPath(new URL('../..', import.meta.url));

/**
 * Loads a CommonJS package that requires ES modules. Node does that by itself; Jest does not, on the oldest Node that is
 * supported. The package's own code is taken as it is, and shares what it requires with the test.
 */
export async function importCommonJs<T>(name: string): Promise<T> {
  const folder = `${root}/node_modules/.cache/nestjs-realtime`;
  mkdirSync(folder, { recursive: true });
  const outfile = `${folder}/${name.replaceAll('/', '_')}-${process.pid}.mjs`;
  await build({
    stdin: { contents: `import * as all from '${name}'; export default all;`, resolveDir: root },
    bundle: true,
    format: 'esm',
    platform: 'node',
    outfile,
    logLevel: 'error',
    plugins: [shared(name)],
  });
  return ((await import(outfile)) as { default: T }).default;
}

/** What the package requires is imported, from where the test imports it. */
function shared(name: string): Plugin {
  return {
    name: 'shared',
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /^[^./]/ }, ({ path, kind }) => {
        if (path === name) return undefined;
        return kind === 'require-call' ? { path, namespace: 'shared' } : { path, external: true };
      });
      onLoad({ filter: /.*/, namespace: 'shared' }, ({ path }) => ({ contents: `export * from '${path}';` }));
    },
  };
}
