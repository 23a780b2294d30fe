/**
 * Forms with a token: checks who may send them, and reads their fields.
 */
import type { FastifyRequest } from 'fastify'
import { RegistryError } from '../oci/errors.ts'
import type { Authenticate } from '../registry/authentication/authentication.ts'
import type { Credential } from '../registry/authentication/credential.ts'
import { beforeDeadline } from '../registry/decision-deadline.ts'
import { trimBlanks } from '../secrets/pasted-text.ts'
import type { IsConfidential } from './confidential.ts'

export interface FormLoginOptions {
  readonly authenticate: Authenticate
  readonly isConfidential: IsConfidential
}

/**
 * Logs in with the token of the form: sets `request.identity`.
 * @throws {RegistryError} DENIED if others can read the form or another page has sent it; the errors of `Authenticate`
 */
export const logInByForm = async (
  request: FastifyRequest,
  { authenticate, isConfidential }: FormLoginOptions,
): Promise<void> => {
  if (!isConfidential(request))
    throw new RegistryError('DENIED', 'others can read a token on this connection: open the page with https')
  // Attack: a page of another origin makes the browser of its visitor send forms with wrong tokens, to use up the failed logins of the
  // visitor's address.
  if (!ownSites.has(request.headers['sec-fetch-site'] ?? 'none'))
    throw new RegistryError('DENIED', 'the form was sent by another site')
  const credential = credentialOf(formField(request, 'token'))
  const authenticated = await beforeDeadline(request, authenticate(credential, request.client.address))
  request.identity = authenticated.identity
}

/** `none`: typed into the address bar, or a browser that sends no such field. */
const ownSites: ReadonlySet<string> = new Set(['same-origin', 'none'])

/** A field of the form, or of the query if there is no form; empty unless it is given once. A token in a query is not read. */
export const formField = ({ body, query }: FastifyRequest, name: string): string => {
  const given = (body ?? (name === 'token' ? {} : query)) as Readonly<Record<string, unknown>>
  const value = Object.hasOwn(given, name) ? given[name] : undefined
  return typeof value === 'string' ? value : ''
}

const credentialOf = (typed: string): Credential => {
  const token = trimBlanks(typed)
  return token === '' ? { kind: 'none' } : { kind: 'bearer', token }
}
