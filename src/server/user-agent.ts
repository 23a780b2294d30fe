/**
 * The client program, as it names itself: for log lines and spans.
 */
import type { FastifyRequest } from 'fastify'
import { printableAscii } from '../oci/printable.ts'

const maxLength = 200

export const userAgentOf = ({ headers }: Pick<FastifyRequest, 'headers'>): string | undefined => {
  const text = headers['user-agent']
  return text === undefined ? undefined : printableAscii(text.slice(0, maxLength))
}
