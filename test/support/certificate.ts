import { createPrivateKey, createPublicKey, createSign, generateKeyPairSync, randomBytes } from 'node:crypto';

/** A key and a certificate for it, PEM. */
export interface Certificate {
  readonly key: string;
  readonly cert: string;
}

const DAY_MS = 86_400_000;
/** Tags of X.690. */
const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bits: 0x03,
  octets: 0x04,
  oid: 0x06,
  utf8: 0x0c,
  time: 0x17,
  sequence: 0x30,
  set: 0x31,
};
const COMMON_NAME = '550403';
const BASIC_CONSTRAINTS = '551d13';
const SUBJECT_ALT_NAME = '551d11';
const ECDSA_SHA256 = '2a8648ce3d040302';

/**
 * A certificate that signs itself (RFC 5280), made on the spot: one in the repository would expire, and a command line tool would
 * have to be there.
 *
 * @param host the one name that it is for
 */
export function makeCertificate(host: string): Certificate {
  const pair = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  const spki = createPublicKey(pair.publicKey).export({ type: 'spki', format: 'der' });
  const name = sequence(der(TAG.set, sequence(oid(COMMON_NAME), der(TAG.utf8, Buffer.from(host)))));
  const algorithm = sequence(oid(ECDSA_SHA256));
  const now = Date.now();
  const signed = sequence(
    der(0xa0, der(TAG.integer, Buffer.of(2))),
    der(TAG.integer, Buffer.concat([Buffer.of(1), randomBytes(8)])),
    algorithm,
    name,
    sequence(time(now - DAY_MS), time(now + DAY_MS)),
    name,
    spki,
    der(
      0xa3,
      sequence(
        extension(BASIC_CONSTRAINTS, sequence(der(TAG.boolean, Buffer.of(0xff)))),
        extension(SUBJECT_ALT_NAME, sequence(der(0x82, Buffer.from(host)))),
      ),
    ),
  );
  const signature = createSign('sha256').update(signed).sign(createPrivateKey(pair.privateKey));
  const body = sequence(signed, algorithm, der(TAG.bits, Buffer.of(0), signature)).toString('base64');
  const lines = body.match(/.{1,64}/g) ?? [];
  return {
    key: pair.privateKey,
    cert: `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`,
  };
}

function der(tag: number, ...content: Buffer[]): Buffer {
  const body = Buffer.concat(content);
  const { length } = body;
  const size =
    length < 0x80
      ? [length]
      : length < 0x100
        ? [0x81, length]
        : [0x82, Math.floor(length / 0x100), length % 0x100];
  return Buffer.concat([Buffer.of(tag, ...size), body]);
}

function sequence(...content: Buffer[]): Buffer {
  return der(TAG.sequence, ...content);
}

function oid(hex: string): Buffer {
  return der(TAG.oid, Buffer.from(hex, 'hex'));
}

function extension(hex: string, value: Buffer): Buffer {
  return sequence(oid(hex), der(TAG.octets, value));
}

/** `YYMMDDhhmmssZ`, which is enough until 2049. */
function time(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replace(/\D/g, '').slice(2, 14);
  return der(TAG.time, Buffer.from(`${digits}Z`));
}
