import type { UnfinishedBytes, UnfinishedSender } from '../ports/transport-host.js';

/** Less than this is not worth counting: it is about what an idle connection costs. */
const SMALL_BYTES = 4 * 1024;

/** What the clients of one address have sent that cannot run yet. */
interface AddressBytes {
  total: number;
  /** In the order of their last progress. */
  readonly senders: Map<UnfinishedSender, number>;
}

/**
 * What the clients of a node have sent that cannot run yet: messages that have not ended, what waits in sockets for its turn, commands
 * before `welcome`, what came before the upgrade was answered. Each may be as large as a frame may be, and nothing says when it ends, so a thousand
 * connections could hold hundreds of megabytes without one command. Where all of them exceed the bound, connections of the address
 * are shed whose clients hold most together: of those, of the client that holds most, the largest, and of equals the one that
 * has sent nothing for longest. So a slow upload survives an attack that comes from elsewhere, however small the pieces are that the
 * attackers hold.
 */
export class UnfinishedMessages implements UnfinishedBytes {
  private readonly addresses = new Map<string, AddressBytes>();
  private total = 0;

  /** @param maxBytes over all connections. @param onShed called with the address of each client that is shed. */
  constructor(
    private readonly maxBytes: number,
    private readonly onShed: (network: string) => void = () => undefined,
  ) {}

  /** Bytes that are counted. */
  get bytes(): number {
    return this.total;
  }

  note(sender: UnfinishedSender, bytes: number): void {
    const address = this.addresses.get(sender.network);
    const before = address?.senders.get(sender) ?? 0;
    const counted = bytes < SMALL_BYTES ? 0 : bytes;
    if (counted === before) return;
    if (counted === 0) return this.forget(sender);
    const { senders } = address ?? this.begin(sender.network);
    senders.delete(sender);
    senders.set(sender, counted);
    this.count(sender.network, counted - before);
    while (this.total > this.maxBytes) this.shedOne();
  }

  private begin(network: string): AddressBytes {
    const address: AddressBytes = { total: 0, senders: new Map() };
    this.addresses.set(network, address);
    return address;
  }

  private forget(sender: UnfinishedSender): void {
    const { senders } = this.addresses.get(sender.network) as AddressBytes;
    this.count(sender.network, -(senders.get(sender) as number));
    senders.delete(sender);
    if (senders.size === 0) this.addresses.delete(sender.network);
  }

  private count(network: string, change: number): void {
    (this.addresses.get(network) as AddressBytes).total += change;
    this.total += change;
  }

  /** Looks at all of them, at most a few thousand: it happens once for each connection that is lost by it. */
  private shedOne(): void {
    let fullest: AddressBytes | undefined;
    for (const address of this.addresses.values())
      if (fullest === undefined || address.total > fullest.total) fullest = address;
    if (fullest === undefined) return;
    const sender = largestOf(fullest.senders);
    this.forget(sender);
    this.onShed(sender.network);
    sender.shed();
  }
}

/** The largest of the client that holds most. */
function largestOf(senders: ReadonlyMap<UnfinishedSender, number>): UnfinishedSender {
  const clients = new Map<string, number>();
  for (const [{ client }, bytes] of senders) clients.set(client, (clients.get(client) ?? 0) + bytes);
  let fullest = '';
  let most = 0;
  for (const [client, bytes] of clients) if (bytes > most) [fullest, most] = [client, bytes];
  let largest: UnfinishedSender | undefined;
  most = 0;
  for (const [sender, bytes] of senders)
    if (sender.client === fullest && bytes > most) [largest, most] = [sender, bytes];
  return largest as UnfinishedSender;
}
