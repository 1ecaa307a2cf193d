const PREFIX = 'whsec_';
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;
/** Bytes that the specification allows. */
const MIN_BYTES = 24;
const MAX_BYTES = 64;

/** How a secret is made, for the remedy of errors. */
export const SECRET_HINT =
  'Give whsec_ and 24 to 64 random bytes in base64, as `"whsec_" + randomBytes(32).toString("base64")` makes it. Is the environment variable set?';

/** The key of a secret of the Standard Webhooks specification; `undefined` for what is none. */
export function keyOf(secret: unknown): Buffer | undefined {
  if (typeof secret !== 'string' || !secret.startsWith(PREFIX)) return undefined;
  const text = secret.slice(PREFIX.length);
  const key = Buffer.from(text, 'base64');
  const isKey = BASE64.test(text) && key.length >= MIN_BYTES && key.length <= MAX_BYTES;
  return isKey ? key : undefined;
}
