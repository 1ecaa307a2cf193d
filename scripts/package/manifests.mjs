// The two packages that are published, both described by the one package.json of this repository.

/** Entry points that a page, a worker or another program needs. They make the package of the client. */
const CLIENT = { '.': './client', './http': './client/http', './msgpack': './client/msgpack' };
/** Fields that both packages share. */
const SHARED = [
  'version',
  'license',
  'author',
  'homepage',
  'repository',
  'bugs',
  'type',
  'sideEffects',
  'engines',
];

/**
 * @param {Record<string, any>} root the package.json of this repository
 * @returns {Record<string, any>[]} the package.json of each package
 */
export function manifests(root) {
  return [serverManifest(root), clientManifest(root)];
}

function serverManifest(root) {
  const { bin, dependencies, peerDependencies, peerDependenciesMeta } = root;
  return {
    ...described(root, 'nestjs-realtime', root.description, root.keywords),
    bin,
    ...entryPoints(root.exports),
    dependencies,
    peerDependencies,
    peerDependenciesMeta,
  };
}

function clientManifest(root) {
  const { '@msgpack/msgpack': msgpack } = root.dependencies;
  const exports = Object.fromEntries(
    Object.entries(CLIENT).map(([subpath, source]) => [subpath, root.exports[source]]),
  );
  return {
    ...described(
      root,
      'nestjs-realtime-client',
      'The client of nestjs-realtime, for browsers, workers and Node: ordered channels that resume after every cut',
      ['realtime', 'websocket', 'client', 'channels', 'resume', 'nestjs'],
    ),
    ...entryPoints({ ...exports, './package.json': './package.json' }),
    dependencies: { '@msgpack/msgpack': msgpack },
  };
}

function described(root, name, description, keywords) {
  const shared = Object.fromEntries(SHARED.map((field) => [field, root[field]]));
  const { version, ...others } = shared;
  return { name, version, description, keywords, ...others };
}

/** `exports`, and beside it what TypeScript's older resolution reads instead (`moduleResolution: node`). */
function entryPoints(exports) {
  const main = exports['.'];
  const typed = Object.entries(exports).filter(([subpath, entry]) => subpath !== '.' && entry.types);
  return {
    exports,
    main: main.default,
    types: main.types,
    typesVersions: {
      '*': Object.fromEntries(typed.map(([subpath, { types }]) => [subpath.slice('./'.length), [types]])),
    },
  };
}

/**
 * @param {Record<string, any>} manifest
 * @returns {string[]} the files of its entry points, declarations among them, and its commands
 */
export function entryFiles({ bin = {}, exports }) {
  const entries = Object.values(exports).flatMap((entry) =>
    typeof entry === 'string' ? [] : [entry.types, entry.default],
  );
  return [...entries, ...Object.values(bin)];
}
