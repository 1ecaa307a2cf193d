import { createReadStream } from 'node:fs';
import { Controller, Get, NotFoundException, Req, StreamableFile } from '@nestjs/common';
import { pageFiles } from './page.files.js';

/** Serves the page and the library's client, on Express and on Fastify. A real application has a CDN or a bundler. */
@Controller()
export class PageController {
  private readonly files = pageFiles();

  // Without a wildcard, because Express and Fastify write it differently.
  @Get(['/', 'assets/:a/:b', 'assets/:a/:b/:c', 'assets/:a/:b/:c/:d'])
  serve(@Req() { url }: { url: string }): StreamableFile {
    const { pathname } = new URL(url, 'http://localhost');
    const file = this.files.get(pathname === '/' ? '/index.html' : pathname);
    if (file === undefined) throw new NotFoundException();
    return new StreamableFile(createReadStream(file.path), { type: file.type });
  }
}
