import t from 'tap'
import type { Test } from 'tap'
import { indexMediaType } from '../../src/oci/descriptor.ts'
import { createReferrers } from '../../src/upstream/referrers.ts'
import type { Digest } from '../../src/oci/reference.ts'
import type { FetchReferrers } from '../../src/oci/image-source.ts'
import { buildArtifact } from '../../src/sandbox/quay/images.ts'
import { quayFor, smallImage } from '../sandbox/quay/quay-client.ts'
import { connect, failure, serverFor, told, until, upstreamFor } from './upstream.ts'
import type { TestServer } from './upstream.ts'

const digest = `sha256:${'a'.repeat(64)}` as Digest

const fromServer = async (
  test: Test,
  status: number,
  body = '',
): Promise<TestServer & { fetch: FetchReferrers }> => {
  const server = await serverFor(test, (_request, response) => void response.writeHead(status).end(body))
  return {
    ...server,
    fetch: createReferrers({ send: upstreamFor(test, server.url).send, repository: 'openshift/ci' }),
  }
}

await t.test('the list of upstream is returned, filtered if requested', async (test) => {
  const quay = await quayFor(test)
  const image = await smallImage()
  quay.push(image)
  for (const artifactType of ['a/sbom', 'a/signature'])
    quay.push(buildArtifact({ subject: image, artifactType, payload: Buffer.from(artifactType) }))
  const fetch = createReferrers({ send: connect(test, quay).send, repository: 'openshift/ci' })
  const subject = image.digest as string as Digest
  const all = await fetch({ digest: subject, artifactType: undefined, requester: 'alice' })
  test.equal(all.isFiltered, false)
  test.match(all.manifests, [{ artifactType: 'a/sbom' }, { artifactType: 'a/signature' }])
  test.ok(all.bytes > 0)
  const { manifests, isFiltered } = await fetch({
    digest: subject,
    artifactType: 'a/signature',
    requester: 'alice',
  })
  test.equal(isFiltered, true)
  test.match(manifests, [{ artifactType: 'a/signature' }])
  test.equal(manifests.length, 1)
})

await t.test('trap 31: an unknown subject has no referrers', async (test) => {
  const quay = await quayFor(test)
  const { send, observed } = connect(test, quay)
  const fetch = createReferrers({ send, repository: 'openshift/ci' })
  test.strictSame(await fetch({ digest, artifactType: 'a/b', requester: 'alice' }), {
    manifests: [],
    isFiltered: false,
    bytes: 0,
  })
  test.strictSame(observed, ['referrers 400'])
})

const path = `/v2/openshift/ci/referrers/${digest}`
const entry = (index: number) => ({
  mediaType: 'application/vnd.oci.image.manifest.v1+json',
  digest: `sha256:${String(index).padStart(64, '0')}`,
  size: index,
})

/** Pages of two entries each, with the Link to the next page. */
const paged = async (
  test: Test,
  pages: number,
  link: (page: number, url: string) => string = (page) => `<${path}?page=${page}>; rel="next"`,
  options: { filters?: (page: number) => string; now?: () => number } = {},
) => {
  const server = await serverFor(test, ({ url = '', headers }, response) => {
    const page = Number(new URL(url, 'http://x').searchParams.get('page') ?? 0)
    if (page + 1 < pages) response.setHeader('link', link(page + 1, `http://${headers.host}`))
    const filters = options.filters?.(page)
    if (filters !== undefined) response.setHeader('oci-filters-applied', filters)
    response.end(JSON.stringify({ manifests: [entry(2 * page), entry(2 * page + 1)] }))
  })
  const { now } = options
  const fetch = createReferrers({
    send: upstreamFor(test, server.url).send,
    repository: 'openshift/ci',
    ...(now === undefined ? {} : { now }),
  })
  return {
    ...server,
    fetch: async (artifactType?: string) => await fetch({ digest, artifactType, requester: 'alice' }),
  }
}

await t.test('all pages are read, however their Links are written', async (test) => {
  const links: readonly ((page: number, url: string) => string)[] = [
    (page) => `<${path}?page=${page}>; rel="next"`,
    (page) => `<${path}?page=${page}>;rel=next`,
    (page, url) => `<${url}${path.replace('sha256:', 'sha256%3A')}?page=${page}&n=2>; title="x"; rel="next"`,
    (page) => `<${path}?page=0>; rel="first", <${path}?page=${page}>; rel="next"`,
  ]
  for (const link of links) {
    const { fetch, requests } = await paged(test, 3, link)
    const { manifests } = await fetch()
    test.strictSame(
      manifests,
      [0, 1, 2, 3, 4, 5].map((index) => entry(index)),
    )
    test.equal(requests.length, 3)
  }
  const other = await paged(test, 3, () => `<${path}?page=1>; rel="prev"`)
  test.equal((await other.fetch()).manifests.length, 2)
})

await t.test('attack: a Link to another repository or host is not followed', async (test) => {
  for (const target of [
    `http://127.0.0.1:1/v2/other/repo/referrers/${digest}?page=1`,
    `/v2/other/repo/referrers/${digest}?page=1`,
    `/v2/openshift/ci/referrers/sha256:${'b'.repeat(64)}?page=1`,
    `${path}/../x?page=1`,
    path,
    'http://[',
    `${path}?${'x'.repeat(5000)}`,
  ]) {
    const { fetch, requests } = await paged(test, 2, () => `<${target}>; rel="next"`)
    test.match((await failure(fetch())).message, /elsewhere/, target.slice(0, 100))
    test.equal(requests.length, 1)
  }
  const foreign = await paged(test, 2, () => `<http://127.0.0.1:1${path}?page=1>; rel="next"`)
  test.equal((await foreign.fetch()).manifests.length, 4, 'of another host the query alone is taken')
})

await t.test('a list that is not filtered on every page is not filtered', async (test) => {
  const rows: readonly (readonly [(page: number) => string, boolean])[] = [
    [() => 'artifactType', true],
    [() => 'other, artifactType', true],
    [(page) => (page === 0 ? 'artifactType' : 'other'), false],
    [(page) => (page === 0 ? '' : 'artifactType'), false],
  ]
  for (const [filters, isFiltered] of rows) {
    const { fetch, requests } = await paged(test, 2, undefined, { filters })
    test.equal((await fetch('a/b')).isFiltered, isFiltered)
    test.equal(requests[0]?.url, `${path}?artifactType=a%2Fb`)
  }
})

await t.test('pages, entries, bytes and time are bounded', async (test) => {
  const endless = await paged(test, 1000)
  test.match((await failure(endless.fetch())).message, /more referrers than the proxy reads/)
  test.equal(endless.requests.length, 20)
  let now = 0
  const slow = await paged(test, 1000, undefined, { now: () => (now += 3000) })
  test.match((await failure(slow.fetch())).message, /more referrers than the proxy reads/)
  test.ok(slow.requests.length <= 4)
  const many = JSON.stringify({ manifests: Array.from({ length: 2001 }, (_, index) => entry(index)) })
  const full = await fromServer(test, 200, many)
  test.match(
    (await failure(full.fetch({ digest, artifactType: undefined, requester: 'alice' }))).message,
    /more referrers than the proxy reads/,
  )
  let pages = 0
  const large = await serverFor(test, (_request, response) => {
    pages += 1
    response.setHeader('link', `<${path}?page=${pages}>; rel="next"`)
    response.end(`{"manifests":[]}${' '.repeat(1024 * 1024)}`)
  })
  const fetch = createReferrers({ send: upstreamFor(test, large.url).send, repository: 'openshift/ci' })
  test.match(
    (await failure(fetch({ digest, artifactType: undefined, requester: 'alice' }))).message,
    /more than the proxy reads/,
  )
  test.equal(pages, 4, 'of all pages together')
})

await t.test('a response without a list is a 503; an invalid descriptor is left out', async (test) => {
  const others = [
    '{}',
    '{"errors":[]}',
    '{"tags":[]}',
    '"x"',
    '5',
    '[]',
    `{"manifests":${'['.repeat(100)}${']'.repeat(100)}}`,
  ]
  for (const content of ['<html>', 'null', '{"manifests":{}}', '{"manifests":"x"}', '', ...others]) {
    const { fetch } = await fromServer(test, 200, content)
    const error = await failure(fetch({ digest, artifactType: undefined, requester: 'alice' }))
    test.match(error.message, /unreadable list of referrers/, content)
  }
  for (const content of ['{"manifests":[]}', '{"manifests":null}', '{"manifests":[null,5,{"digest":"x"}]}']) {
    const { fetch } = await fromServer(test, 200, content)
    test.match(
      await fetch({ digest, artifactType: undefined, requester: 'alice' }),
      { manifests: [] },
      content,
    )
  }
})

await t.test('the request has no field of a client', async (test) => {
  const { fetch, requests, url } = await fromServer(test, 200, '{"manifests":[]}')
  await fetch({ digest, artifactType: 'a&b=c', requester: 'alice' })
  await fetch({ digest, artifactType: undefined, requester: 'alice' })
  const { host } = new URL(url)
  const headers = {
    host,
    connection: 'keep-alive',
    accept: indexMediaType,
    'accept-encoding': 'identity',
  }
  test.strictSame(requests, [
    { method: 'GET', url: `${path}?artifactType=a%26b%3Dc`, headers },
    { method: 'GET', url: path, headers },
  ])
})

await t.test(
  'an upstream without the endpoint is a 404: clients fall back to the tag schema',
  async (test) => {
    for (const status of [404, 405]) {
      const error = await failure(
        (await fromServer(test, status)).fetch({ digest, artifactType: undefined, requester: 'alice' }),
      )
      test.equal(told(error), '404 UNSUPPORTED')
    }
  },
)

await t.test('another status is a 503', async (test) => {
  for (const status of [204, 304, 403]) {
    const error = await failure(
      (await fromServer(test, status)).fetch({ digest, artifactType: undefined, requester: 'alice' }),
    )
    test.equal(told(error), '503 UNAVAILABLE 5')
    test.match(error.cause, new Error(`upstream answered ${status}`))
  }
  const limited = await fromServer(test, 429)
  test.equal(
    told(await failure(limited.fetch({ digest, artifactType: undefined, requester: 'alice' }))),
    '429 TOOMANYREQUESTS 5',
  )
})

await t.test('an index that is too large is a 503', async (test) => {
  const { fetch } = await fromServer(test, 200, ' '.repeat(4 * 1024 * 1024 + 1))
  test.match(
    (await failure(fetch({ digest, artifactType: undefined, requester: 'alice' }))).message,
    /more than the proxy reads/,
  )
})

await t.test('the request ends when its caller leaves', async (test) => {
  const { url, requests } = await serverFor(test, () => undefined)
  const fetch = createReferrers({ send: upstreamFor(test, url).send, repository: 'openshift/ci' })
  const controller = new AbortController()
  const fetched = failure(
    fetch({ digest, artifactType: undefined, requester: 'alice', signal: controller.signal }),
  )
  await until(() => requests.length === 1)
  controller.abort()
  test.equal(told(await fetched), '503 UNAVAILABLE 5')
})
