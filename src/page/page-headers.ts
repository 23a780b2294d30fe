/**
 * Which requests get a page instead of an answer for programs, and the header fields of all pages.
 */
import { createHash } from 'node:crypto'
import type { FastifyHelmetOptions } from '@fastify/helmet'
import type { FastifyRequest } from 'fastify'
import { script, style } from './assets.ts'

export const isForBrowser = ({ headers: { accept = '' } }: Pick<FastifyRequest, 'headers'>): boolean =>
  accept.includes('text/html')

const hashOf = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`

/** Allows only the content of the page. Forms go to the proxy itself, and no other page shows this one in a frame. */
const contentSecurityPolicy = {
  useDefaults: false,
  directives: {
    defaultSrc: ["'none'"],
    styleSrc: [hashOf(style)],
    scriptSrc: [hashOf(script)],
    imgSrc: ['data:'],
    formAction: ["'self'"],
    baseUri: ["'none'"],
    frameAncestors: ["'none'"],
  },
}

/** Options of helmet. */
export const pageHeaders = {
  contentSecurityPolicy,
  referrerPolicy: { policy: 'no-referrer' },
  strictTransportSecurity: { maxAge: 15_552_000, includeSubDomains: false },
} as const satisfies FastifyHelmetOptions
