/** The samplers of the SDK for JavaScript say of themselves what they do; the decision for what has no parent is that of the root. */
const ROOT = /^ParentBased\{root=(.*?), remoteParent/;
const RATIO = /^TraceIdRatioBased\{([\d.e+-]+)\}$/;

/**
 * Which share of the traces that begin in this process a tracer of the SDK for JavaScript samples; `undefined` for another tracer, or
 * a sampler of another kind, such as that of Sentry. It only reads: to ask the sampler would count as a span with some of them.
 */
export function shareOf(tracer: unknown): number | undefined {
  const { _sampler: sampler } = (tracer ?? {}) as { readonly _sampler?: unknown };
  if (typeof sampler !== 'object' || sampler === null) return undefined;
  // eslint-disable-next-line @typescript-eslint/no-base-to-string -- a sampler has its own, by its interface
  const text = String(sampler);
  const root = ROOT.exec(text)?.[1] ?? text;
  if (root === 'AlwaysOnSampler') return 1;
  if (root === 'AlwaysOffSampler') return 0;
  const [, ratio] = RATIO.exec(root) ?? [];
  return ratio === undefined ? undefined : Number(ratio);
}
