import { RealtimeError } from '../../protocol/realtime-error.js';

const PREFIX = 'redisBroker: ';

/**
 * The command was not carried out, as far as can be known.
 *
 * @param message for clients, too.
 * @param detail for operators alone: addresses, options, what the server says.
 */
export function unavailable(message: string, detail?: string): RealtimeError {
  return new RealtimeError('unavailable', {
    message,
    ...(detail === undefined ? {} : { cause: new Error(detail) }),
  });
}

/** What an error says to operators, shortened; its message is sent to clients. */
export function detailOf(error: unknown): string {
  return messageOf(error instanceof RealtimeError ? (error.cause ?? error) : error);
}

/** Every call before `start` and after `close`. */
export function notRunning(): RealtimeError {
  return unavailable('The Redis broker is not running: it was closed, or not started yet');
}

/** Says that a command may have been carried out: its outcome is unknown (P17). */
export const NO_ANSWER = 'Redis did not answer in time';

/** What to do where a server refuses a command. */
export const ALLOW_COMMANDS =
  'Allow this user the commands that docs/scaling.md lists under "Set up Redis", or use a server that has them.';

/** An error of `start`: what is wrong, where, and what to do. */
export function bootError(problem: string, remedy: string): Error {
  return new Error(`${PREFIX}${problem}. ${remedy}`);
}

/** How servers say that they do not have a command, or not for this user; also of commands that scripts run. */
const NOT_ALLOWED =
  /NOPERM|unknown (?:sub)?command|Unknown Redis command|can't run this command|ACL failure/i;

/** What `start` throws for an error of a command: where the server does not allow it, what the operator has to do. */
export function startError(error: unknown): unknown {
  const message = detailOf(error);
  if (error instanceof RealtimeError && !NOT_ALLOWED.test(message))
    return new RealtimeError(error.code, { message, cause: error.cause });
  if (message.startsWith(PREFIX) || !NOT_ALLOWED.test(message)) return error;
  return bootError(`the server refuses a command that the broker needs (${message})`, ALLOW_COMMANDS);
}

/** Whether the server does not know the script (it was restarted, or its scripts were flushed). Nothing was done. */
export function isNoScript(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('NOSCRIPT');
}

/**
 * How answers of a server begin that say that the command was not carried out; ioredis repeats a command that a Cluster
 * redirects, and gives up with the last answer.
 */
const REFUSALS =
  /^(?:Too many Cluster redirections\. Last error: \w*Error: )?(LOADING|READONLY|CLUSTERDOWN|MASTERDOWN|TRYAGAIN|MOVED|ASK|OOM|MISCONF|NOREPLICAS|BUSY|NOPERM|NOAUTH|NOSCRIPT|CROSSSLOT|ERR|WRONGTYPE|EXECABORT)/;
/** What a command of a script met, which may have written before: refusals of a server come before its first write. */
const IN_SCRIPT = /^(ERR|WRONGTYPE) .* script: \w+, on /;
/** Of these the ones that are about the server as a whole, and not about this command or its keys. */
const OF_SERVER =
  /^(?:ReplyError: |Redis refused the command: )?(OOM|MISCONF|NOREPLICAS|READONLY|LOADING|MASTERDOWN|NOAUTH|WRONGPASS)\b/;
const UNSENT = /enableOfflineQueue|isn't ready|Cluster is ended/;

/**
 * The error of the port for a command that failed. ioredis attaches the command and its arguments to its errors: those hold
 * payloads and, of a handshake, the password. So only its message is kept, and that for operators (see `detailOf`).
 */
export function commandError(error: unknown): RealtimeError {
  if (error instanceof RealtimeError) return error;
  const message = messageOf(error);
  if (UNSENT.test(message)) return unavailable('There is no connection to Redis');
  if (IN_SCRIPT.test(message))
    return new RealtimeError('timeout', {
      message: 'The broker may have carried out a part of it',
      cause: new Error(`A script failed: ${message}`),
    });
  if (REFUSALS.test(message))
    return unavailable(
      refusalForClients(error) ?? 'The broker refused it',
      `Redis refused the command: ${message}`,
    );
  return new RealtimeError('timeout', 'The connection to Redis was lost before it answered');
}

/** Why the server refuses what is written to it, in its words; `undefined` for an error that does not say that it does. */
export function refusalOf(error: unknown): string | undefined {
  // Where in a script it happened is of no use to whom this is for.
  const message = detailOf(error).replace(/ script: \w+, on .*$/, '');
  return OF_SERVER.test(message) ? message : undefined;
}

/** Whether a server that refuses with these words also refuses renewals: a full one takes them. */
export function refusesRenewals(refusal: string | undefined): boolean {
  return refusal !== undefined && !refusal.startsWith('OOM');
}

/** Why the server refuses what is written to it, for clients: the first word, as the rest is about the server's settings. */
export function refusalForClients(error: unknown): string | undefined {
  const word = OF_SERVER.exec(detailOf(error))?.[1];
  return word === undefined ? undefined : `The broker refuses what is written to it (${word})`;
}

/** First line of an error, shortened: a script's error may quote its input. */
export function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return (text.split('\n', 1)[0] ?? '').slice(0, 200);
}
