import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT, type JWK } from 'jose';

/** A pair of keys of an issuer. */
export interface SigningKey {
  readonly kid: string;
  readonly alg: string;
  readonly privateKey: CryptoKey;
  readonly jwk: JWK;
}

/** Makes a pair of keys, whose public half names its algorithm. */
export async function signingKey(kid: string, alg = 'ES256'): Promise<SigningKey> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  return { kid, alg, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } };
}

/** Signs a token that is valid for an hour on the wall clock `now`, but for what is given. */
export function signed(
  { kid, alg, privateKey }: SigningKey,
  claims: Readonly<Record<string, unknown>>,
  now = Date.now(),
  header: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const seconds = Math.floor(now / 1_000);
  return new SignJWT({ sub: 'alice', iat: seconds, exp: seconds + 36_000, ...claims })
    .setProtectedHeader({ alg, kid, typ: 'JWT', ...header })
    .sign(privateKey);
}

/** A key server of an issuer, over HTTP on this host. */
export class KeyServer {
  /** Requests that came. */
  requests = 0;
  /** What it publishes. */
  keys: readonly JWK[] = [];
  /** Answers instead of it. */
  answer: ((req: IncomingMessage, res: ServerResponse) => unknown) | undefined;
  private server: Server | undefined;
  private port = 0;

  /** Listens; after {@link stop}, on the same port. */
  async start(): Promise<this> {
    const server = createServer((req, res) => {
      this.requests++;
      if (this.answer !== undefined) return void this.answer(req, res);
      res.setHeader('content-type', 'application/json').end(JSON.stringify({ keys: this.keys }));
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen(this.port, '127.0.0.1', resolve);
    });
    this.port = (server.address() as AddressInfo).port;
    this.server = server;
    return this;
  }

  /** Is away: connections are refused. */
  async stop(): Promise<void> {
    const { server } = this;
    this.server = undefined;
    if (server === undefined) return;
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  }

  /** Its name in tokens. */
  get issuer(): string {
    return `http://127.0.0.1:${this.port}/`;
  }

  get url(): string {
    return `${this.issuer}keys`;
  }
}
