import { isIP } from 'node:net';
import type { API, Connection } from '@platformatic/kafka';
import type { KafkaDriver } from './driver.js';
import type { BrokerAddress, KafkaLogSettings } from './options.js';

/** So many requests may wait on one connection that none waits in the client: what bounds them is in front of it. */
const MAX_IN_FLIGHT = 10_000;

/** A connection to one broker. It is used until anything goes wrong on it, and then replaced. */
export class KafkaConnection {
  private constructor(private readonly connection: Connection) {}

  /**
   * @param requestTimeoutMs How long a request waits for its answer; longer for one on which the broker waits for records.
   * @throws Error of the client, with the causes in `cause`
   */
  static async open(
    driver: KafkaDriver,
    { host, port }: BrokerAddress,
    { clientId, connectTimeoutMs, sasl, tls }: KafkaLogSettings,
    requestTimeoutMs: number,
  ): Promise<KafkaConnection> {
    const connection = new driver.Connection(clientId, {
      connectTimeout: connectTimeoutMs,
      requestTimeout: requestTimeoutMs,
      maxInflights: MAX_IN_FLIGHT,
      // An address is no name that a certificate could be chosen by.
      ...(tls !== undefined && { tls, ...(isIP(host) === 0 && { tlsServerName: true }) }),
      ...(sasl !== undefined && { sasl: { ...sasl } }),
    });
    // Each request fails by itself; an event without a listener would end the process.
    connection.on('error', () => undefined);
    const opened = new KafkaConnection(connection);
    try {
      await connection.connect(host, port);
      return opened;
    } catch (error) {
      opened.destroy();
      throw error;
    }
  }

  get isOpen(): boolean {
    return this.connection.isConnected();
  }

  /** Calls `listener` once, when it is over. */
  onClose(listener: () => void): void {
    this.connection.once('close', listener);
  }

  /**
   * Sends a request. Errors that stand in an answer are left there: the client throws one for the whole answer when any part has one.
   *
   * @throws Error when there is no answer; the connection is over then
   */
  async call<Args extends unknown[], Answer>(api: API<Args, Answer>, ...args: Args): Promise<Answer> {
    try {
      return await api.async(this.connection, ...args);
    } catch (error) {
      const { response } = error as { response?: Answer };
      if (response !== undefined) return response;
      // The client cannot read on behind an answer that came too late.
      this.destroy();
      throw error;
    }
  }

  /** Ends it at once; what waits on it fails. Idempotent. */
  destroy(): void {
    const { socket } = this.connection as { socket?: Connection['socket'] };
    // Ends its timers; what the socket still has to send is of no use any more.
    this.connection.close().catch(() => undefined);
    socket?.destroy();
  }
}
