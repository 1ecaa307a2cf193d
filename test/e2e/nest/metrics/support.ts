import { Controller, Get, Header } from '@nestjs/common';
import { Registry } from 'prom-client';
import { parseScrape, type ScrapedSample } from '../../../support/prometheus/scrape.js';

/** A registry, and a controller that serves it as an application would. */
export function servedRegistry() {
  const registry = new Registry();
  @Controller('metrics')
  class MetricsController {
    @Get()
    @Header('content-type', registry.contentType)
    metrics(): Promise<string> {
      return registry.metrics();
    }
  }
  return { registry, controller: MetricsController };
}

/** What a scraper gets from an application. */
export async function scrape(httpUrl: string): Promise<{ text: string; samples: readonly ScrapedSample[] }> {
  const response = await fetch(new URL('/metrics', httpUrl));
  const text = await response.text();
  if (response.status !== 200) throw new Error(`/metrics answered ${response.status}: ${text}`);
  return { text, samples: parseScrape(text) };
}
