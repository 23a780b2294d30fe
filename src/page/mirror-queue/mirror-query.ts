/**
 * Parses the parameters of `GET /mirrors`, which filter the images of the queue. They are those of the mirror's API.
 */
import { RegistryError } from '../../oci/errors.ts'

export interface MirrorFilters {
  readonly limit: number
  readonly owner: string
  readonly state: string
}

const names = new Set(['limit', 'owner', 'state', 'target'])
const defaultLimit = 100
const maxLimit = 1000
/** Characters of a filter. */
const maxLength = 700

/**
 * @param given the parameters of a query; unknown names are refused, because a misspelled filter would show everything
 * @returns the query for the mirror. @throws {RegistryError} 400
 */
export const mirrorQueryOf = (given: Readonly<Record<string, unknown>>): string => {
  const query = new URLSearchParams({ action: 'show', limit: String(defaultLimit) })
  for (const [name, value] of Object.entries(given)) {
    if (!names.has(name)) throw badQuery('the parameters are limit, owner, state and target')
    if (typeof value !== 'string' || value.length > maxLength)
      throw badQuery(`give ${name} once, with ${maxLength} characters at most`)
    if (name === 'limit' && !isLimit(value)) throw badQuery(`limit is a number from 1 to ${maxLimit}`)
    // An empty field of a form is no filter.
    if (value !== '') query.set(name, value)
  }
  return query.toString()
}

const isLimit = (text: string): boolean =>
  text === '' || (/^[1-9]\d{0,3}$/.test(text) && Number(text) <= maxLimit)

const badQuery = (message: string): RegistryError =>
  new RegistryError('UNSUPPORTED', message, { status: 400 })
