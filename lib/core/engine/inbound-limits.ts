import { RateLimit } from '../access/rate-limit.js';
import { SubjectBuckets } from '../access/subject-buckets.js';
import type { EngineSettings } from '../ports/settings.js';
import type { SessionDeps } from '../session/session.js';

/** Seconds of charged answers that may come at once, e.g. when a page is loaded. */
const ANSWER_BURST_S = 8;
/** What an anonymous connection gets of answers whatever those to others at its address cost: bytes a second, and at once. */
const SHARE_BYTES_PER_SECOND = 4 * 1024;
const MAX_SHARE_BYTES = 64 * 1024;
/** Milliseconds of a second, and at once, in which frames above 4 KiB are parsed for one user, or the anonymous clients of an address. */
const PARSING_MS = 250;
/** How often in its time a user may subscribe to as many channels as a connection may hold, at no cost. */
const FREE_ROUNDS = 2;
/** The same for sessions that continue: a user may have several, and each has held its channels before. */
const RESUMED_ROUNDS = 8;

/** The rates of connections, and of users and addresses over all their connections (G16). */
export function inboundLimits({ limits }: EngineSettings): Pick<SessionDeps, 'rates' | 'subjects'> {
  const { maxChannels, freeSubscribesEveryMs, maxRateBuckets } = limits;
  const buckets = (ratePerSecond: number, burst: number): SubjectBuckets =>
    new SubjectBuckets(new RateLimit(ratePerSecond, burst), maxRateBuckets);
  const rounds = (count: number): SubjectBuckets =>
    buckets((count * maxChannels * 1_000) / freeSubscribesEveryMs, count * maxChannels);
  const { answerBytesPerSecond: answers, userAnswerBytesPerSecond: userAnswers } = limits;
  return {
    rates: {
      commands: new RateLimit(limits.ratePerSecond, limits.burst),
      bytes: new RateLimit(limits.bytesPerSecond, limits.bytesPerSecond * 2),
      answers: new RateLimit(answers, answers * ANSWER_BURST_S),
      answerShare: new RateLimit(SHARE_BYTES_PER_SECOND, MAX_SHARE_BYTES),
    },
    subjects: {
      commands: buckets(limits.userRatePerSecond, limits.userRatePerSecond * 2),
      tenants: buckets(limits.userRatePerSecond, limits.userRatePerSecond * 2),
      answers: buckets(userAnswers, userAnswers * ANSWER_BURST_S),
      parsing: buckets(PARSING_MS, PARSING_MS),
      freeSubscribes: rounds(FREE_ROUNDS),
      resumedSubscribes: rounds(RESUMED_ROUNDS),
    },
  };
}
