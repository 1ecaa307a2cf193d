import { decorate } from './decorate.mjs';
import { Channel, PublicChannel } from './library.mjs';
import { LOGGED, UNLOGGED } from './log-names.mjs';

class LoggedChannel {}
decorate(LoggedChannel, { on: [PublicChannel(), Channel(LOGGED)] });
class UnloggedChannel {}
decorate(UnloggedChannel, { on: [PublicChannel(), Channel(UNLOGGED, { history: false, dedupe: false })] });

/** A channel with the defaults, and one without history and dedupe. */
export const logChannels = [LoggedChannel, UnloggedChannel];
