import { Inject, Injectable } from '@nestjs/common';
import { takeResponse } from '../../nest/lifecycle/framework.js';
import type { Asset } from './assets.js';
import { PAGE_HEADERS } from './headers.js';

/** Injection token of the files of the page. */
export const DASHBOARD_ASSETS = Symbol('REALTIME_DASHBOARD_ASSETS');

/** Sends the files of the page. */
@Injectable()
export class DashboardPages {
  constructor(@Inject(DASHBOARD_ASSETS) private readonly assets: ReadonlyMap<string, Asset>) {}

  has(file: string): boolean {
    return this.assets.has(file);
  }

  /** By Node itself: Express would take the bytes for an object. @param file one that is there. */
  send(response: object, file: string): void {
    const { body, type } = this.assets.get(file) as Asset;
    takeResponse(response)
      .writeHead(200, { ...PAGE_HEADERS, 'Content-Type': type, 'Content-Length': body.length })
      .end(body);
  }
}
