/** The samplers of the SDK for JavaScript say of themselves what they do; the decision for what has no parent is that of the root. */
const ROOT = /^ParentBased\{root=(.*?), remoteParent/;
const RATIO = /^TraceIdRatioBased\{([\d.e+-]+)\}$/;

/** A sampler, as its interface has it. */
interface Described {
  toString(): string;
}

/**
 * Which share of the traces that begin in this process a tracer of the SDK for JavaScript samples; `undefined` for another tracer, or
 * a sampler of another kind, such as that of Sentry. It only reads: to ask the sampler would count as a span with some of them.
 */
export function shareOf(tracer: unknown): number | undefined {
  const { _sampler: sampler } = (tracer ?? {}) as { readonly _sampler?: Described | string | null };
  if (typeof sampler !== 'object' || sampler === null) return undefined;
  const text = sampler.toString();
  const root = ROOT.exec(text)?.[1] ?? text;
  if (root === 'AlwaysOnSampler') return 1;
  if (root === 'AlwaysOffSampler') return 0;
  const [, ratio] = RATIO.exec(root) ?? [];
  return ratio === undefined ? undefined : Number(ratio);
}
