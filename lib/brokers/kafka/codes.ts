import { AppendError } from '../replicated/ordered-log.js';

/** Error codes of Kafka's protocol that decide something here. */
export const Code = {
  none: 0,
  offsetOutOfRange: 1,
  unknownTopicOrPartition: 3,
  topicAlreadyExists: 36,
  topicAuthorizationFailed: 29,
  clusterAuthorizationFailed: 31,
  unknownTopicId: 100,
  inconsistentTopicId: 103,
} as const;

/**
 * Answers to an append that the leader gives before it writes anything, by whether the same record may be taken later. All others may
 * come when it was written: the leader changed while the record was waiting for its replicas, or the time was over.
 */
const REFUSALS = new Map<number, { readonly name: string; readonly retryable: boolean }>([
  [2, { name: 'CORRUPT_MESSAGE', retryable: true }],
  [10, { name: 'MESSAGE_TOO_LARGE', retryable: false }],
  [17, { name: 'INVALID_TOPIC_EXCEPTION', retryable: false }],
  [18, { name: 'RECORD_LIST_TOO_LARGE', retryable: false }],
  [19, { name: 'NOT_ENOUGH_REPLICAS', retryable: true }],
  [21, { name: 'INVALID_REQUIRED_ACKS', retryable: false }],
  [29, { name: 'TOPIC_AUTHORIZATION_FAILED', retryable: false }],
  [31, { name: 'CLUSTER_AUTHORIZATION_FAILED', retryable: false }],
  [32, { name: 'INVALID_TIMESTAMP', retryable: false }],
  [35, { name: 'UNSUPPORTED_VERSION', retryable: false }],
  [44, { name: 'POLICY_VIOLATION', retryable: false }],
  [87, { name: 'INVALID_RECORD', retryable: false }],
]);

/** What became of an append that the leader answered with an error. */
export function appendError(code: number): AppendError {
  const refusal = REFUSALS.get(code);
  return refusal === undefined
    ? new AppendError('unknown', `Kafka answered with error ${code}`)
    : new AppendError('refused', `Kafka refused the record: ${refusal.name}`, refusal.retryable);
}

/** First line of an error and of its causes, shortened: what brokers say names no credential. */
export function messageOf(error: unknown): string {
  const parts: string[] = [];
  for (let cause = error; cause instanceof Error && parts.length < 4; cause = cause.cause) {
    const [line = ''] = cause.message.split('\n', 1);
    parts.push(line.slice(0, 200));
    if (cause instanceof AggregateError)
      cause.errors.slice(0, 2).forEach((each) => parts.push(messageOf(each)));
  }
  return parts.join(': ');
}

/** What zlib says, by its codes, and the client; the code of WebAssembly, which reads the other forms, has only a name of its errors. */
const UNREADABLE = /^(Z|ZSTD)_|^(ERR_BUFFER_TOO_LARGE|OUT_OF_BOUNDS|PLT_KFK_UNSUPPORTED_COMPRESSION)$/;

/** Whether an answer came that the client cannot read: records are damaged, or compressed in a form that it does not know. */
export function isUnreadable(error: unknown): boolean {
  const { code, name } = (error ?? {}) as { readonly code?: unknown; readonly name?: unknown };
  return name === 'RuntimeError' || (typeof code === 'string' && UNREADABLE.test(code));
}

/**
 * Whether an answer about the end of a term is one for this partition, and no error. The client reads its two first fields in the wrong
 * order, so that the number of the partition stands where the error belongs; one that reads them right is understood too.
 */
export function isEpochAnswer(
  partition: number,
  answer: { readonly partition: number; readonly errorCode: number },
): boolean {
  const isAsWritten = answer.errorCode === Code.none && answer.partition === partition;
  const isSwapped = answer.partition === Code.none && answer.errorCode === partition;
  return isAsWritten || isSwapped;
}
