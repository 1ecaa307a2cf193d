/** Version of the package, as nodes report it to one another. A test holds it against package.json. */
export const VERSION = '0.1.0';
