import { RealtimeError } from '../../protocol/realtime-error.js';

/** The library gave up to wait for the application's code: tells it from a time-out that this code reports of its own calls. */
export class OverdueError extends RealtimeError {}
