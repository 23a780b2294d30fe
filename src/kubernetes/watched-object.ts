/**
 * An object of the Kubernetes API, as far as a list or a watch reads it.
 */

export interface WatchedObject {
  readonly metadata?: {
    readonly namespace?: string
    readonly name?: string
    readonly resourceVersion?: string
  }
  readonly spec?: unknown
  readonly status?: unknown
}

/** @throws {Error} if the value is no object of the API: its names are used as keys, and its version to continue from, so they must be text */
export const watchedOf = (value: unknown): WatchedObject => {
  const metadata = objectOf(objectOf(value)['metadata'])
  const names = [metadata['namespace'], metadata['name'], metadata['resourceVersion']]
  if (value !== objectOf(value) || names.some((name) => typeof (name ?? '') !== 'string'))
    throw new Error('API server sent an object without valid names')
  return value
}

/** The value as an object; an empty one for anything else. */
export const objectOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
