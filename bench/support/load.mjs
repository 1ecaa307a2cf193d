/** Measures what the load generator itself used, so that a report can show that it was not the bottleneck. */
export function startMeasuring() {
  const cpu = process.cpuUsage();
  const startedAt = process.hrtime.bigint();
  return () => {
    const seconds = Number(process.hrtime.bigint() - startedAt) / 1e9;
    const { user, system } = process.cpuUsage(cpu);
    return { seconds, loadShare: (user + system) / 1e6 / seconds };
  };
}

export function elapsedMs(since) {
  return Number(process.hrtime.bigint() - since) / 1e6;
}
