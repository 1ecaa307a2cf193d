const INTERVAL_MS = 5;

/**
 * How long whoever comes at any moment waits for this process, in CPU of its own: unlike a delay of the event loop, a time in
 * which other processes had the processor does not count.
 */
export class TurnMeter {
  #turns = [];
  #timer;

  start() {
    this.#turns = [];
    let last = process.cpuUsage();
    this.#timer = setInterval(() => {
      const { user, system } = process.cpuUsage(last);
      last = process.cpuUsage();
      this.#turns.push((user + system) / 1e3);
    }, INTERVAL_MS);
  }

  /** @returns {{ p99: number, max: number }} ms */
  stop() {
    clearInterval(this.#timer);
    const turns = this.#turns.sort((a, b) => a - b);
    const all = turns.reduce((sum, ms) => sum + ms, 0);
    // Who comes at a random moment meets a turn as often as it is long.
    let passed = 0;
    const p99 = turns.find((ms) => (passed += ms) >= 0.99 * all) ?? 0;
    return { p99, max: turns.at(-1) ?? 0 };
  }
}
