/** How much a line of the client's log matters. */
export type ClientLogLevel = 'debug' | 'info' | 'warn' | 'error';

/** Where the client tells what it does, and what it finds odd. Called with a whole sentence, and data beside it. */
export type ClientLog = (level: ClientLogLevel, message: string, data?: unknown) => void;

/** The default: what an application did not ask for is not in its console. */
export const silentLog: ClientLog = () => undefined;
