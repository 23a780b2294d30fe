import { jsonAnswer } from './answers.ts'
import type { Answer } from './answers.ts'
import type { Exchange } from './origin.ts'
import { quayError } from './errors.ts'
import type { QuayStore } from './store.ts'

/** Source: quay endpoints/v2/__init__.py oci_tag_paginate: V2_PAGINATION_SIZE, at least 100; both default and cap. */
const maxPage = 100

const indexType = 'application/vnd.oci.image.index.v1+json'

/** end-8: a page of tag names. The Link is absolute and on quay's own host, as quay writes it. */
export function listTags(store: QuayStore, repository: string, { url }: Exchange): Answer {
  const asked = url.searchParams.get('n') ?? ''
  const limit = /^\d+$/.test(asked) ? Math.min(Number(asked), maxPage) : maxPage
  const { names, more } = store.tagsAfter(url.searchParams.get('last') ?? '', limit)
  const last = names.at(-1)
  const headers: Record<string, string> = { connection: 'close' }
  if (more && last !== undefined) {
    const next = `${url.origin}/v2/${repository}/tags/list?n=${limit}&last=${encodeURIComponent(last)}`
    headers['link'] = `<${next}>; rel="next"`
  }
  return jsonAnswer(200, { name: repository, tags: names }, headers)
}

/** end-12: where the spec asks for an empty index, quay answers an unknown subject with 400. */
export function listReferrers(store: QuayStore, digest: string, { url }: Exchange): Answer {
  if (store.findByDigest(digest) === undefined) return quayError('MANIFEST_INVALID')
  const artifactType = url.searchParams.get('artifactType')
  const all = store.referrersOf(digest)
  const manifests =
    artifactType === null ? all : all.filter((referrer) => referrer.artifactType === artifactType)
  return jsonAnswer(
    200,
    { schemaVersion: 2, mediaType: indexType, manifests },
    {
      'content-type': indexType,
      ...(artifactType === null ? {} : { 'oci-filters-applied': 'artifactType' }),
    },
  )
}
