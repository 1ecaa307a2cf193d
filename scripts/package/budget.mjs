// What the packages may be, at most. Raising a number is a line to review: say why in the commit.

export const budget = {
  /** Names of an entry point. */
  names: { '.': 50, './client': 56 },
  /** Declarations without a docstring, among the names that an entry point exports and their members. */
  undocumented: {
    '.': 0,
    './admin': 0,
    './audit': 0,
    './auth': 0,
    './broker': 0,
    './broker/contract': 0,
    './client': 0,
    './client/http': 0,
    './client/msgpack': 0,
    './doctor': 0,
    './health': 0,
    './hooks': 0,
    './kafka': 0,
    './metrics': 0,
    './moderation': 0,
    './nats': 0,
    './platform-ws': 0,
    './redis': 0,
    './tracing': 0,
  },
  /** Files and bytes of a tarball, packed and unpacked. */
  tarballs: {
    'nestjs-realtime': { files: 1_150, packed: 1_330_000, unpacked: 4_560_000 },
    'nestjs-realtime-client': { files: 125, packed: 118_000, unpacked: 410_000 },
  },
  /** Bytes of the client in a page: bundled, minified and compressed with gzip. */
  // What is shared with ./client counts in each of them: in a page with both, client/http adds about 8,200.
  bundles: { './client': 23_900, './client/http': 11_150, './client/msgpack': 7_650 },
};

/**
 * @param {string} group a key of {@link budget}
 * @param {...string} path keys inside it
 * @returns {number}
 * @throws Error when no number is there: a limit that is missing would allow everything
 */
export function allowed(group, ...path) {
  const found = path.reduce((part, key) => part?.[key], budget[group]);
  if (typeof found === 'number') return found;
  throw new Error(`scripts/package/budget.mjs has no number for ${[group, ...path].join(' ')}.`);
}
