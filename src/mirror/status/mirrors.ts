/**
 * `GET /api/v1/mirrors`, with the answers of the former program, because people have scripts that use curl and jq. The filters `owner`,
 * `state` and `target` and the last fields of a task are new.
 * @see https://github.com/openshift/ci-tools/blob/main/cmd/ci-images-mirror/main.go
 */
import type { CopyStatus } from '../queue/queued-copy.ts'

export interface StatusAnswer {
  readonly status: 200 | 202 | 404 | 405 | 409 | 500
  /** JSON, or the text of an error. */
  readonly body: object | string
}

const defaultLimit = 1

/** @param parameters of the query. @param statuses everything in the queue */
export const answerMirrors = (parameters: URLSearchParams, statuses: readonly CopyStatus[]): StatusAnswer => {
  const action = parameters.get('action') ?? ''
  if (action === '' || action === 'summarize') return { status: 200, body: { total: statuses.length } }
  if (action !== 'show') return { status: 500, body: `invalid action: ${action}` }
  const limit = limitOf(parameters.get('limit') ?? '')
  if (typeof limit === 'string') return { status: 500, body: limit }
  const shown = statuses.filter((status) => isWanted(status, parameters)).slice(0, Math.max(0, limit))
  // Go writes an empty list as null.
  return {
    status: 200,
    body: { mirrors: shown.length === 0 ? null : shown.map(taskOf), total: statuses.length },
  }
}

/** @returns the text of Go's error if it is not a number */
const limitOf = (text: string): number | string => {
  if (text === '') return defaultLimit
  const limit = /^[+-]?\d{1,19}$/.test(text) ? Number(text) : NaN
  if (Number.isNaN(limit)) return `strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`
  return limit
}

const isWanted = ({ state, target, owner }: CopyStatus, parameters: URLSearchParams): boolean =>
  [
    parameters.get('state') ?? state,
    parameters.get('target') ?? target,
    parameters.get('owner') ?? owner,
  ].every((wanted, index) => wanted === [state, target, owner][index])

const noTag = { namespace: '', name: '', tag: '' }

/** The fields in their order. Those of the watch of ImageStreams are empty for other images. */
const taskOf = ({ distributed, ...status }: CopyStatus): object => ({
  source_tag_ref: distributed?.imageStreamTag ?? noTag,
  source: status.source,
  destination: status.destination,
  current_quay_digest: distributed?.replaced ?? '',
  created_at: new Date(status.createdAt).toISOString(),
  stale: distributed?.isStale ?? false,
  owner: status.owner,
  state: status.state,
  target: status.target,
  failures: status.failures,
  last_error: status.lastError ?? '',
})
