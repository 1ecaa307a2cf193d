import { Inject, Injectable } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { canonicalOrigin } from '../nest/options/transport-options.js';
import type { AdminRequest } from './input.js';
import type { AdminConfig } from './options.js';
import { ADMIN_CONFIG } from './tokens.js';

/** Which pages of other sites may use the routes, and what their browsers are told of it. */
@Injectable()
export class AdminOrigins {
  constructor(
    @Inject(ADMIN_CONFIG) private readonly config: Pick<AdminConfig, 'allowedOrigins'>,
    private readonly host: HttpAdapterHost,
  ) {}

  /** The origin of a request, where it is listed. */
  listed({ headers }: Pick<AdminRequest, 'headers'>): string | undefined {
    const { origin } = headers;
    const canonical = typeof origin === 'string' ? canonicalOrigin(origin) : undefined;
    return canonical !== undefined && this.config.allowedOrigins.has(canonical) ? canonical : undefined;
  }

  /** Lets a page read the answer: as the last one, so that the CORS of the application does not say otherwise. */
  allow(response: object, origin: string | undefined, more: Readonly<Record<string, string>> = {}): void {
    if (this.config.allowedOrigins.size === 0) return;
    this.vary(response);
    if (origin === undefined) return;
    const headers = {
      'Access-Control-Allow-Origin': origin,
      'Access-Control-Allow-Credentials': 'true',
      'Access-Control-Expose-Headers': 'Retry-After',
      ...more,
    };
    for (const [name, value] of Object.entries(headers))
      this.host.httpAdapter.setHeader(response, name, value);
  }

  private vary(response: object): void {
    const { httpAdapter } = this.host;
    const before: unknown = httpAdapter.getHeader(response, 'Vary');
    const known = [before].flat().flatMap((one) => (typeof one === 'string' ? one.split(/\s*,\s*/) : []));
    if (!known.some((name) => name.toLowerCase() === 'origin'))
      httpAdapter.setHeader(response, 'Vary', [...known, 'Origin'].join(', '));
  }
}
