// The subpath nestjs-realtime/auth: what only some applications need to tell who a client is.
export { IntrospectionAuthenticator } from './introspection-authenticator.js';
export type { IntrospectionOptions } from './introspection-options.js';
export { csrfToken } from '../../transports/http/csrf.js';
