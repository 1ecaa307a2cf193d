import { Inject, Injectable } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { Asset } from './assets.js';
import { PAGE_HEADERS } from './headers.js';

/** Injection token of the files of the page. */
export const DASHBOARD_ASSETS = Symbol('REALTIME_DASHBOARD_ASSETS');

/** Sends the files of the page, with Express and Fastify alike. */
@Injectable()
export class DashboardPages {
  constructor(
    private readonly host: HttpAdapterHost,
    @Inject(DASHBOARD_ASSETS) private readonly assets: ReadonlyMap<string, Asset>,
  ) {}

  has(file: string): boolean {
    return this.assets.has(file);
  }

  /** @param file one that is there. */
  send(response: object, file: string): void {
    const { httpAdapter } = this.host;
    const { body, type } = this.assets.get(file) as Asset;
    for (const [name, value] of Object.entries(PAGE_HEADERS)) httpAdapter.setHeader(response, name, value);
    httpAdapter.setHeader(response, 'Content-Type', type);
    httpAdapter.reply(response, body, 200);
  }
}
