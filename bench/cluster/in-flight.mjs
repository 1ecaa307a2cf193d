/**
 * Publishes `count` times with up to `limit` publishes under way: the next goes out when one was acknowledged. Each has a
 * promise of its own, as the requests of an application would.
 */
export function inFlight(publish, count, limit) {
  return new Promise((resolve, reject) => {
    let begun = 0;
    let done = 0;
    const next = () => {
      begun += 1;
      publish().then(acknowledged, reject);
    };
    const acknowledged = () => {
      done += 1;
      if (begun < count) next();
      else if (done === count) resolve();
    };
    while (begun < Math.min(limit, count)) next();
  });
}
