import type { IncomingMessage } from 'node:http';
import type { Refusal, TransportHost } from '../../core/ports/transport-host.js';
import { clientAddress, forwardedBy, type ClientAddress, type Peer } from './client-address.js';
import type { EntrySettings } from './entry-options.js';
import { TRY_LATER } from './refusal.js';

/** Who asks, judged once for each request: a rule of the application may fail the second time. */
export class Reception {
  private readonly addresses = new WeakMap<IncomingMessage, string>();
  /** Whether a proxy that nobody trusts would be news. */
  private expectsProxies: boolean;

  /** @param trustsProxies whether the option `trustProxy` is there: then somebody decided about it, `false` included. */
  constructor(
    private readonly host: TransportHost,
    private readonly settings: Pick<EntrySettings, 'trustProxy' | 'onError' | 'onWarning'>,
    trustsProxies: boolean,
  ) {
    this.expectsProxies = trustsProxies;
  }

  /** A rule of the application may throw, and so may the engine: the client learns nothing of that (G25). */
  judge<T extends object>(
    req: IncomingMessage,
    socket: Peer,
    by: (address: ClientAddress) => T | Refusal,
  ): T | Refusal {
    try {
      this.lookForProxy(req);
      const address = clientAddress(req.headers, socket, this.settings.trustProxy);
      this.addresses.set(req, address.ip);
      return by(address);
    } catch (error) {
      this.settings.onError(error);
      return TRY_LATER;
    }
  }

  /** Notifies the host of a client that is refused. */
  refused(req: IncomingMessage, socket: Peer, refusal: Refusal): void {
    this.host.onRefused(refusal, this.addressOf(req, socket));
  }

  /** The same of a request of a session, whichever node refused it. */
  requestRefused(req: IncomingMessage, status: number): void {
    this.host.onRequestRefused(status, this.addressOf(req, req.socket));
  }

  private addressOf(req: IncomingMessage, socket: Peer): string {
    return this.addresses.get(req) ?? peerAddress(socket);
  }

  /** Warns once of what makes all clients one for limits and bans: a proxy of which nobody told this server. */
  private lookForProxy({ headers, socket }: IncomingMessage): void {
    if (this.expectsProxies) return;
    const header = forwardedBy(headers);
    if (header === undefined) return;
    this.expectsProxies = true;
    this.settings.onWarning(
      `A request from ${peerAddress(socket)} came with ${header}, and no proxy is trusted: if that is a proxy of yours, all ` +
        'clients behind it count as one for limits and bans. Set trustProxy to the number of proxies in front of this server, ' +
        'or to their networks; where there are none, trustProxy: false ends this warning',
    );
  }
}

/** Of the request, as Node keeps it. */
export function bytesOf({ rawHeaders, url = '' }: IncomingMessage): number {
  return rawHeaders.reduce((sum, text) => sum + text.length, url.length);
}

/** The address of the socket's other end, whoever is trusted. */
function peerAddress(peer: Peer): string {
  return clientAddress({}, peer, false).ip;
}
