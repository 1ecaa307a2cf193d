// What the packages may be, at most. Raising a number is a line to review: say why in the commit.

export const budget = {
  /** Names of an entry point. */
  names: { '.': 50, './client': 40 },
  /** Files and bytes of a tarball, packed and unpacked. */
  tarballs: {
    'nestjs-realtime': { files: 460, packed: 400_000, unpacked: 1_400_000 },
    'nestjs-realtime-client': { files: 100, packed: 80_000, unpacked: 260_000 },
  },
  /** Bytes of the client in a page: bundled, minified and compressed with gzip. */
  bundles: { './client': 21_000, './client/msgpack': 8_000 },
};
