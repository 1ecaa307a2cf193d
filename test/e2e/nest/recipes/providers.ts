import { IntrospectionAuthenticator } from 'nestjs-realtime/auth';
import type { RealtimeModuleOptions } from 'nestjs-realtime';

// recipe: Auth0
export const auth0: RealtimeModuleOptions = {
  auth: {
    jwt: {
      jwks: {
        issuer: 'https://example.eu.auth0.com/', // with the slash, as its tokens have it
        url: 'https://example.eu.auth0.com/.well-known/jwks.json',
        audience: 'https://api.example.com', // the identifier of the API, which the page asks a token for
        algorithms: ['RS256'],
      },
    },
  },
};
// end

// recipe: Keycloak
export const keycloak: RealtimeModuleOptions = {
  auth: {
    jwt: {
      jwks: {
        issuer: 'https://id.example.com/realms/shop', // without a slash
        url: 'https://id.example.com/realms/shop/protocol/openid-connect/certs',
        audience: 'realtime', // by an audience mapper of the client's scope: Keycloak adds none by itself
      },
      user: ({ sub, preferred_username: name, realm_access: access }) => ({ id: String(sub), name, access }),
    },
  },
};
// end

// recipe: tenants
const TENANTS = new Map([
  ['https://id.example.com/realms/acme', 'acme'],
  ['https://id.example.com/realms/globex', 'globex'],
]);

export const tenants: RealtimeModuleOptions = {
  auth: {
    jwt: {
      audience: 'realtime',
      jwks: [...TENANTS.keys()].map((issuer) => ({ issuer, url: `${issuer}/protocol/openid-connect/certs` })),
      // The tenant follows from the issuer, which is verified, and never from another claim: who administers a realm writes those.
      user: ({ iss, sub }) => {
        const tenant = TENANTS.get(String(iss));
        return { id: `${tenant}:${String(sub)}`, tenant };
      },
    },
  },
};
// end

// recipe: opaque tokens
export const opaque = (url: string, secret: string): RealtimeModuleOptions => ({
  auth: new IntrospectionAuthenticator({
    url, // e.g. https://id.example.com/oauth2/introspect
    client: { id: 'realtime', secret },
    audience: 'realtime',
    cacheFor: '10s', // as long, a token that was revoked still lets its client in
  }),
});
// end
