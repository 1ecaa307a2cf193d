import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { decorate } from './decorate.mjs';

/** A Nest application on Express, as `nest new` makes it, without its log. */
export async function nestApp({ imports = [], providers = [] }) {
  class AppModule {}
  decorate(AppModule, { on: [Module({ imports, providers })] });
  return NestFactory.create(AppModule, { logger: ['error', 'warn'], abortOnError: false });
}

/** Listens on a free port of the loopback interface. */
export async function listenNest(app) {
  await app.listen(0, '127.0.0.1');
  return app.getHttpServer().address().port;
}
