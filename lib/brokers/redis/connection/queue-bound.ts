import { unavailable } from '../errors.js';

/** The error text for a bound that is reached. @param option that raises it. */
export function tooMany(count: number, option: string): string {
  return `${count} commands wait for Redis already: wait for their answers, or raise \`${option}\``;
}

/** Bounds how many commands wait for their turn or their answer, and bytes of them. One alone may have any size. */
export class QueueBound {
  private count = 0;
  private bytes = 0;

  constructor(
    private readonly max: number,
    private readonly maxBytes: number,
  ) {}

  /**
   * Runs a command of so many bytes, which counts until it has settled.
   *
   * @throws RealtimeError `unavailable` where too much waits already.
   */
  async run<T>(bytes: number, command: () => Promise<T>): Promise<T> {
    if (this.count >= this.max) throw unavailable(tooMany(this.count, 'maxQueued'));
    if (this.count > 0 && this.bytes + bytes > this.maxBytes)
      throw unavailable(tooMany(this.count, 'maxQueuedBytes'));
    this.count += 1;
    this.bytes += bytes;
    try {
      return await command();
    } finally {
      this.count -= 1;
      this.bytes -= bytes;
    }
  }
}
