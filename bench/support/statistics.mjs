/** The middle value: one disturbed round does not move it. */
export function median(values) {
  return percentile(values, 0.5);
}

/** Interpolated between the two nearest values. */
export function percentile(values, share) {
  const sorted = Float64Array.from(values).sort();
  if (sorted.length === 0) return Number.NaN;
  const at = share * (sorted.length - 1);
  const below = Math.floor(at);
  const above = Math.ceil(at);
  return sorted[below] + (sorted[above] - sorted[below]) * (at - below);
}

/** Median of `a / b`, round by round: what slows the whole machine down for a while moves both alike. */
export function medianRatio(a, b) {
  return median(a.map((value, round) => value / b[round]));
}

/** `12345.6` → `12,346`. */
export function thousands(value) {
  return Math.round(value).toLocaleString('en-US');
}

/** `0.4567` → `46 %`. */
export function percent(share) {
  return `${Math.round(100 * share)} %`;
}
