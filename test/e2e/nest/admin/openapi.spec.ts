import { afterEach, describe, expect, it } from '@jest/globals';
import { DocumentBuilder, SwaggerModule } from '@nestjs/swagger';
import { Validator } from '@seriousme/openapi-schema-validator';
import { ROUTES } from '../../../../lib/admin/routes/index.js';
import { PLATFORMS } from '../support/nest-app.js';
import { startAdmin, type AdminApp } from './support.js';

/** What the document says of one operation, as far as tests look. */
interface Operation {
  readonly operationId: string;
  readonly 'x-authority': string;
  readonly summary: string;
  readonly parameters?: readonly { name: string; in: string; required: boolean; schema: { type?: string } }[];
  readonly requestBody?: { content: Record<string, { schema: { properties: object; example: unknown } }> };
  readonly responses: Record<string, { content: Record<string, { schema: { type: string } }> }>;
}

describe.each(PLATFORMS)('the OpenAPI document, on %s', (_name, platform) => {
  let app: AdminApp;
  afterEach(() => app.close());

  it('is valid, and has every route with its authority, its input and its answers', async () => {
    app = await startAdmin(platform);
    const builder = new DocumentBuilder().setTitle('test').setVersion('1').addBearerAuth();
    const document = SwaggerModule.createDocument(app.app, builder.build());
    const { valid, errors } = await new Validator().validate(
      JSON.parse(JSON.stringify(document)) as Record<string, unknown>,
    );
    expect([valid, errors]).toEqual([true, undefined]);
    const paths = document.paths as unknown as Record<string, Record<string, Operation>>;
    expect(Object.values(paths).flatMap((path) => Object.keys(path))).toHaveLength(ROUTES.length);
    for (const route of ROUTES) {
      const operation = paths[`/realtime-admin/${route.path}`]?.[route.method.toLowerCase()] as Operation;
      expect(operation).toMatchObject({
        operationId: `realtimeAdmin.${route.id}`,
        summary: route.summary,
        'x-authority': route.authority,
      });
      const fields = Object.keys(route.input.fields ?? {});
      if (route.method === 'GET') {
        const { parameters = [] } = operation;
        expect(parameters.map(({ name }) => name)).toEqual(fields);
        expect(parameters.filter(({ required }) => required).map(({ name }) => name)).toEqual(
          route.input.required,
        );
        expect(
          parameters.every(({ in: place, schema }) => place === 'query' && schema.type !== undefined),
        ).toBe(true);
      } else {
        const { properties, example } = operation.requestBody?.content['application/json']?.schema as {
          properties: object;
          example: unknown;
        };
        expect(Object.keys(properties)).toEqual(fields);
        expect(example).toEqual(route.example);
      }
      for (const status of ['200', '400', '401', '403', '413', '429', '500', '503', '504'])
        expect(operation.responses[status]?.content['application/json']?.schema.type).toBe('object');
    }
  });
});
