// Metadata keys are strings, not symbols: two copies of this package in one application (a nested install) would
// otherwise not see each other's decorators, and a channel would be missing in silence.
export const CHANNEL_METADATA = 'nestjs-realtime:channel';
export const PUBLIC_CHANNEL_METADATA = 'nestjs-realtime:public';
export const POLICY_METADATA = 'nestjs-realtime:policy';
export const HANDLERS_METADATA = 'nestjs-realtime:handlers';
/** Parameters of handlers without parameter decorators, in the shape of Nest's own route arguments. */
export const POSITIONAL_ARGS_METADATA = 'nestjs-realtime:positional-args';

/** Context of the log lines of this library. */
export const LOGGER_CONTEXT = 'RealtimeModule';
