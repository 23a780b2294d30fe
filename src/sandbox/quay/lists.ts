/** The lists of quay: tags in pages; referrers at once, or in pages as with other registries. */
import { jsonAnswer } from './answers.ts'
import type { Answer } from './answers.ts'
import { quayError } from './errors.ts'
import type { Exchange } from './origin.ts'
import type { QuayStore } from './store.ts'

/** Source: quay endpoints/v2/__init__.py oci_tag_paginate: V2_PAGINATION_SIZE, at least 100; both default and cap. */
const maxPage = 100

const indexType = 'application/vnd.oci.image.index.v1+json'

/** end-8: a page of tag names. The Link is absolute and on quay's own host, as quay writes it. */
export const listTags = (store: QuayStore, repository: string, { url }: Exchange): Answer => {
  const asked = url.searchParams.get('n') ?? ''
  const limit = /^\d+$/.test(asked) ? Math.min(Number(asked), maxPage) : maxPage
  const { names, more } = store.tagsAfter(url.searchParams.get('last') ?? '', limit)
  const last = names.at(-1)
  const headers: Record<string, string> = { connection: 'close' }
  if (more && last !== undefined) {
    const next = `${url.origin}/v2/${repository}/tags/list?n=${limit}&last=${encodeURIComponent(last)}`
    headers['link'] = nextLink(next)
  }
  return jsonAnswer(200, { name: repository, tags: names }, headers)
}

/**
 * end-12: for an unknown subject the spec requires an empty index, but quay answers 400.
 * @param page entries on one page; quay has them all on one: `Infinity`
 */
export const listReferrers = (store: QuayStore, digest: string, page: number, { url }: Exchange): Answer => {
  if (store.findByDigest(digest) === undefined) return quayError('MANIFEST_INVALID')
  const artifactType = url.searchParams.get('artifactType')
  const all = store
    .referrersOf(digest)
    .filter((referrer) => artifactType === null || referrer.artifactType === artifactType)
  const from = Number(url.searchParams.get('from') ?? '0')
  const next = new URL(url)
  next.searchParams.set('from', String(from + page))
  return jsonAnswer(
    200,
    { schemaVersion: 2, mediaType: indexType, manifests: all.slice(from, from + page) },
    {
      'content-type': indexType,
      ...(artifactType === null ? {} : { 'oci-filters-applied': 'artifactType' }),
      ...(from + page < all.length ? { link: nextLink(next.href) } : {}),
    },
  )
}

const nextLink = (url: string): string => `<${url}>; rel="next"`
