import { defineResource, defineResourceTemplate } from '../../../src/index.ts';
import type { ResourceDefinition, ResourceTemplateDefinition } from '../../../src/mcp/server-definition.ts';
import { imageBase64 } from './fixture-content.ts';

/** Text, bytes, and one that clients subscribe to. */
export const resources: readonly ResourceDefinition[] = [
  defineResource({
    name: 'static-text',
    uri: 'test://static-text',
    title: 'Static Text Resource',
    description: 'A static text resource for testing',
    mimeType: 'text/plain',
    cache: { ttlMs: 300_000, scope: 'public' },
    read: () => 'This is the content of the static text resource.',
  }),
  defineResource({
    name: 'static-binary',
    uri: 'test://static-binary',
    title: 'Static Binary Resource',
    description: 'A static binary resource (image) for testing',
    mimeType: 'image/png',
    read: () => ({ blob: Buffer.from(imageBase64, 'base64') }),
  }),
  defineResource({
    name: 'watched-resource',
    uri: 'test://watched-resource',
    title: 'Watched Resource',
    description: 'A resource that clients subscribe to',
    mimeType: 'text/plain',
    read: () => 'Watched resource content',
  }),
];

/** One family with one variable. */
export const resourceTemplates: readonly ResourceTemplateDefinition[] = [
  defineResourceTemplate({
    name: 'template',
    uriTemplate: 'test://template/{id}/data',
    title: 'Resource Template',
    description: 'A resource template with parameter substitution',
    mimeType: 'application/json',
    complete: { id: (typed) => ['1', '12', '123'].filter((id) => id.startsWith(typed)) },
    read: ({ id }) => JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` }),
  }),
];
