import { z } from 'zod'
import { empty, endpoint, jsonTextBody, jsonTextResponse, since } from '../endpoint.ts'
import { errors } from '../error.ts'

export const maxPropertyKeyLength = 1024
export const maxPropertyValueBytes = 512 * 1024

/** Printable ASCII. */
export const PropertyKey = z
  .string()
  .regex(/^[\x20-\x7e]+$/)
  .brand<'PropertyKey'>()
export type PropertyKey = z.infer<typeof PropertyKey>

export const propertyErrors = errors({
  tooMany: {
    status: 403,
    label: 'too-many-properties',
    message: 'There are as many properties as one user may have',
  },
  keyTooLarge: {
    status: 403,
    label: 'property-key-too-large',
    message: 'The name of the property is too long',
  },
  valueTooLarge: {
    status: 403,
    label: 'property-value-too-large',
    message: 'The value of the property is too large',
  },
})

const params = z.object({ key: PropertyKey })

export const propertiesApi = {
  listPropertyKeys: endpoint({
    method: 'GET',
    path: '/properties',
    versions: since(0),
    auth: 'user',
    summary: 'Names of the properties of the caller',
    responses: { 200: z.array(PropertyKey) },
    errors: [],
  }),
  clearProperties: endpoint({
    method: 'DELETE',
    path: '/properties',
    versions: since(0),
    auth: 'user',
    summary: 'Remove all properties of the caller',
    responses: { 200: empty },
    errors: [],
  }),
  /** An object with the values as they were stored. */
  listProperties: endpoint({
    method: 'GET',
    path: '/properties-values',
    versions: since(0),
    auth: 'user',
    summary: 'All properties of the caller',
    responses: { 200: jsonTextResponse },
    errors: [],
  }),
  getProperty: endpoint({
    method: 'GET',
    path: '/properties/{key}',
    versions: since(0),
    auth: 'user',
    summary: 'A property of the caller, as it was stored',
    params,
    responses: { 200: jsonTextResponse },
    errors: [],
  }),
  setProperty: endpoint({
    method: 'PUT',
    path: '/properties/{key}',
    versions: since(0),
    auth: 'user',
    summary: 'Set a property of the caller to any JSON',
    params,
    // Twice the limit, so that what is a little too large gets the error that names it.
    body: jsonTextBody(2 * maxPropertyValueBytes),
    responses: { 200: empty },
    errors: [propertyErrors.tooMany, propertyErrors.keyTooLarge, propertyErrors.valueTooLarge],
  }),
  removeProperty: endpoint({
    method: 'DELETE',
    path: '/properties/{key}',
    versions: since(0),
    auth: 'user',
    summary: 'Remove a property of the caller',
    params,
    responses: { 200: empty },
    errors: [],
  }),
}
