/**
 * Fetches one page of upstream's tag list, in upstream's order.
 * @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-tags
 */
import { unavailable } from '../oci/errors.ts'
import { parseAnswer } from '../oci/json-bounds.ts'
import type { FetchTags } from '../oci/image-source.ts'
import { readBounded } from './client/bounded-body.ts'
import { single } from './client/response-fields.ts'
import type { SendUpstream } from './request.ts'

/** The maximum of quay. */
const pageSize = 100
/** `pageSize` tags of 128 characters, quoted, fit many times over. */
const maxPageBytes = 1024 * 1024

export const createTags =
  (send: SendUpstream, repository: string): FetchTags =>
  async ({ after, requester, signal, priority }) => {
    const query = new URLSearchParams({
      n: String(pageSize),
      ...(after === undefined ? {} : { last: after }),
    })
    const response = await send({
      method: 'GET',
      path: `/v2/${repository}/tags/list?${query}`,
      headers: { accept: 'application/json', 'accept-encoding': 'identity' },
      kind: 'tags',
      requester,
      signal,
      priority,
    })
    if (response.status !== 200) {
      await response.body.discard()
      throw unavailable(
        'the upstream registry does not list its tags',
        new Error(`upstream answered ${response.status}`),
      )
    }
    const tags = parseTags(await readBounded(response.body, maxPageBytes))
    return { tags, more: tags.length > 0 && single(response.headers['link']) !== undefined }
  }

const parseTags = (body: Buffer): string[] => {
  try {
    const { tags } = parseAnswer(body) as { tags?: unknown }
    // distribution answers null for an empty list.
    if (tags === null || (Array.isArray(tags) && tags.every((tag) => typeof tag === 'string')))
      return tags ?? []
  } catch (error) {
    throw unavailable('the upstream registry answers with an unreadable tag list', error)
  }
  throw unavailable('the upstream registry answers with an unreadable tag list')
}
