/** For tests in which one client sends as much as many: no rate of it refuses anything. */
export const NO_RATES = { ratePerSecond: 1e6, burst: 1e6, userRatePerSecond: 0, bytesPerSecond: 1e9 };
