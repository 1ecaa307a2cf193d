/** Least bytes of a secret: those of the hash that it keys (RFC 7518 §3.2). */
export const LEAST_SECRET_BYTES = 32;
/** Least different bytes: 32 random ones in hexadecimal have fewer once in some ten million times. */
const LEAST_DIFFERENT = 8;
/** Words of examples. Long ones only: a random text in Base64 has short ones by chance. */
const EXAMPLES =
  /secret|change.?me|change.?this|example|passwor|development|your.?(?:key|jwt|own)|placeholder|replace.?me/i;

/** Why a secret can be guessed: it is short, or a text that people write; `undefined` where it cannot. */
export function weaknessOf(secret: string | Buffer): 'short' | 'example' | undefined {
  const bytes = Buffer.from(secret);
  if (bytes.length < LEAST_SECRET_BYTES) return 'short';
  return isExample(bytes) ? 'example' : undefined;
}

/** Whether a secret of any length is a text that people write, or a run of bytes. */
export function isExample(bytes: Buffer): boolean {
  const isRun = isRepeated(bytes) || isSequence(bytes) || new Set(bytes).size < LEAST_DIFFERENT;
  return isRun || EXAMPLES.test(bytes.toString('latin1'));
}

/** Whether it is one part over and over. */
function isRepeated(bytes: Buffer): boolean {
  for (let part = 1; part <= bytes.length / 2; part++)
    if (bytes.every((byte, index) => byte === bytes[index % part])) return true;
  return false;
}

/** Whether most of its bytes follow the one before, as in 0123456789 or abcdef. */
function isSequence(bytes: Buffer): boolean {
  const steps = bytes.filter((byte, index) => index > 0 && byte === (bytes[index - 1] ?? 0) + 1).length;
  return steps * 2 > bytes.length;
}
