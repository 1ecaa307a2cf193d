import { Logger, type Type } from '@nestjs/common';
// Of its types only: the package is loaded where it is installed.
import type * as Swagger from '@nestjs/swagger';
import { isMissingPackage } from '../core/ports/missing-package.js';
import type { AdminRoute } from './route.js';
import { failure } from './routes/answers.js';

const PACKAGE = '@nestjs/swagger';

/** The errors of a route, by status. */
const ERRORS: Readonly<Record<number, string>> = {
  400: 'The input is wrong; `details` names each field and what it must be',
  401: 'The guards of the application do not know the caller',
  403: 'The caller lacks the authority, or a guard refuses',
  404: 'No channel is called so',
  409: 'The id was used with other content',
  413: 'The body, or an event, is too large',
  429: 'Too many requests; `Retry-After` says when to come back',
  500: 'It failed; the log of the node says why',
  503: 'The broker is away; `Retry-After` says when to come back',
  504: 'The broker did not answer in time: an act may still take effect, so send it again',
};

/**
 * Describes the routes for the OpenAPI document of the application, where `@nestjs/swagger` is installed.
 *
 * @param hidden controllers that belong to no document.
 * @returns whether it is.
 */
export async function describeRoutes(
  controller: Type,
  routes: readonly AdminRoute[],
  hidden: readonly Type[],
): Promise<boolean> {
  let swagger: typeof Swagger;
  try {
    swagger = await import('@nestjs/swagger');
  } catch (error) {
    if (!isMissingPackage(error, PACKAGE))
      new Logger('RealtimeAdminModule').warn(
        `${PACKAGE} cannot be loaded, so the routes are in no OpenAPI document: ${(error as Error).message}`,
      );
    return false;
  }
  swagger.ApiTags('realtime-admin')(controller);
  for (const one of hidden) swagger.ApiExcludeController()(one);
  for (const route of routes) describe(swagger, controller, route);
  return true;
}

function describe(swagger: typeof Swagger, { prototype }: Type, route: AdminRoute): void {
  const decorators: MethodDecorator[] = [
    swagger.ApiOperation({
      operationId: `realtimeAdmin.${route.id}`,
      summary: route.summary,
      description: `Needs the authority \`${route.authority}\`.`,
    }),
    swagger.ApiExtension('x-authority', route.authority),
    swagger.ApiProduces('application/json'),
    swagger.ApiResponse({ status: 200, description: 'Done', schema: route.answer.json }),
  ];
  if (route.method === 'GET') decorators.push(...queries(swagger, route));
  else
    decorators.push(
      swagger.ApiConsumes('application/json'),
      swagger.ApiBody({ required: true, schema: { ...route.input.json, example: route.example } }),
    );
  for (const [status, description] of Object.entries(ERRORS))
    decorators.push(swagger.ApiResponse({ status: Number(status), description, schema: failure.json }));
  const descriptor = Object.getOwnPropertyDescriptor(prototype, route.id) as PropertyDescriptor;
  for (const decorate of decorators) decorate(prototype as object, route.id, descriptor);
}

function queries(swagger: typeof Swagger, { input }: AdminRoute): MethodDecorator[] {
  return Object.entries(input.fields ?? {}).map(([name, { json }]) => {
    const { description, ...schema } = json as { readonly description?: string };
    return swagger.ApiQuery({
      name,
      required: input.required?.includes(name) === true,
      schema,
      ...(description === undefined ? {} : { description }),
    });
  });
}
