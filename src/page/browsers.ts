/**
 * Requests of browsers, and the header fields of the pages that they get.
 */
import type { FastifyHelmetOptions } from '@fastify/helmet'
import type { FastifyRequest } from 'fastify'
import { contentSecurityPolicy } from './assets.ts'

export const isForBrowser = ({ headers: { accept = '' } }: Pick<FastifyRequest, 'headers'>): boolean =>
  accept.includes('text/html')

/** Options of helmet. */
export const pageHeaders = {
  contentSecurityPolicy,
  referrerPolicy: { policy: 'no-referrer' },
  strictTransportSecurity: { maxAge: 15_552_000, includeSubDomains: false },
} as const satisfies FastifyHelmetOptions
