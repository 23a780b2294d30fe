/**
 * The fields of a request that its stages set for later stages. They are declared, initialized and read here.
 */
import type { IncomingMessage } from 'node:http'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Decision } from '../access/decision.ts'
import type { Identity } from '../access/identity.ts'
import type { RegistryError } from '../oci/errors.ts'
import type { Reference, Repository } from '../oci/reference.ts'
import type { RequestSpan } from '../tracing/tracing.ts'

export interface Client {
  /** Canonical: IPv4 as IPv4 even if it was written as IPv6, without port, brackets and zone; `unknown` if there is none. */
  readonly address: string
  /** The unit of the limits by address: an IPv4 address, or the /64 of an IPv6 address, of which one owner has all. */
  readonly network: string
}

declare module 'fastify' {
  interface FastifyRequest {
    /** The address that the request comes from, as far as trusted proxies tell it. */
    client: Client
    /** Milliseconds, monotonic. */
    receivedAt: number
    /** Null for a request that is not traced. */
    span: RequestSpan | null
    /** Null before authentication. */
    identity: Identity | null
    /** Null before the route has parsed its parameters. */
    repository: Repository | null
    reference: Reference | null
    /** Null before authorization. */
    decision: Decision | null
    /** The error of the answer; null for an answer without an error. */
    failure: RegistryError | null
  }
}

/** Fastify needs every field before the first request: all requests then have one shape. */
export const decorateRequests = (
  app: FastifyInstance,
  clientOf: (raw: Pick<IncomingMessage, 'socket' | 'headers'>) => Client,
): void => {
  app.decorateRequest('receivedAt', 0)
  for (const field of [
    'client',
    'span',
    'identity',
    'repository',
    'reference',
    'decision',
    'failure',
  ] as const)
    app.decorateRequest(field, null)
  // Once for each request: several stages read it.
  app.addHook('onRequest', (request, _reply, done) => {
    request.client = clientOf(request.raw)
    done()
  })
}

/** @throws {Error} before authentication, which is a mistake in the order of the stages */
export const identityOf = (request: Pick<FastifyRequest, 'identity'>): Identity => {
  if (request.identity === null) throw new Error('authentication runs before authorization')
  return request.identity
}

/** @throws {Error} before authorization, which is a mistake in the order of the stages */
export const referenceOf = (request: Pick<FastifyRequest, 'reference'>): Reference => {
  if (request.reference === null) throw new Error('authorization runs before the handler')
  return request.reference
}
