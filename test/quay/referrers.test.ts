import t from 'tap'
import type { Test } from 'tap'
import { createReferrers, indexMediaType } from '../../src/quay/referrers.ts'
import type { FetchReferrers } from '../../src/quay/referrers.ts'
import type { Digest } from '../../src/reference.ts'
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
  return { ...server, fetch: createReferrers(upstreamFor(test, server.url).ask, 'openshift/ci') }
}

await t.test('the index as upstream writes it, filtered where asked for', async (test) => {
  const quay = await quayFor(test)
  const image = await smallImage()
  quay.push(image)
  for (const artifactType of ['a/sbom', 'a/signature'])
    quay.push(buildArtifact({ subject: image, artifactType, payload: Buffer.from(artifactType) }))
  const fetch = createReferrers(connect(test, quay).ask, 'openshift/ci')
  const subject = image.digest as string as Digest
  const all = await fetch({ digest: subject, artifactType: undefined, asker: 'alice' })
  test.equal(all.filtersApplied, undefined)
  test.match(JSON.parse(all.content.toString()), {
    mediaType: indexMediaType,
    manifests: [{ artifactType: 'a/sbom' }, { artifactType: 'a/signature' }],
  })
  const { content, filtersApplied } = await fetch({
    digest: subject,
    artifactType: 'a/signature',
    asker: 'alice',
  })
  test.equal(filtersApplied, 'artifactType')
  const { manifests } = JSON.parse(content.toString()) as { manifests: object[] }
  test.match(manifests, [{ artifactType: 'a/signature' }])
  test.equal(manifests.length, 1)
})

await t.test('trap 31: a subject that quay does not know has no referrers', async (test) => {
  const quay = await quayFor(test)
  const { ask, observed } = connect(test, quay)
  const { content, filtersApplied } = await createReferrers(
    ask,
    'openshift/ci',
  )({ digest, artifactType: 'a/b', asker: 'alice' })
  test.strictSame(observed, ['referrers 400'])
  test.strictSame(JSON.parse(content.toString()), {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    manifests: [],
  })
  test.equal(filtersApplied, undefined)
})

await t.test('what is sent, and nothing of a client', async (test) => {
  const { fetch, requests, url } = await fromServer(test, 200, '{}')
  await fetch({ digest, artifactType: 'a&b=c', asker: 'alice' })
  await fetch({ digest, artifactType: undefined, asker: 'alice' })
  const { host } = new URL(url)
  const headers = {
    host,
    connection: 'keep-alive',
    accept: indexMediaType,
    'accept-encoding': 'identity',
  }
  const path = `/v2/openshift/ci/referrers/${digest}`
  test.strictSame(requests, [
    { method: 'GET', url: `${path}?artifactType=a%26b%3Dc`, headers },
    { method: 'GET', url: path, headers },
  ])
})

await t.test('an upstream without the endpoint: clients fall back to the tag schema', async (test) => {
  for (const status of [404, 405]) {
    const error = await failure(
      (await fromServer(test, status)).fetch({ digest, artifactType: undefined, asker: 'alice' }),
    )
    test.equal(told(error), '404 UNSUPPORTED')
  }
})

await t.test('another answer', async (test) => {
  for (const status of [204, 304, 403]) {
    const error = await failure(
      (await fromServer(test, status)).fetch({ digest, artifactType: undefined, asker: 'alice' }),
    )
    test.equal(told(error), '503 UNAVAILABLE 5')
    test.match(error.cause, new Error(`upstream answered ${status}`))
  }
  const limited = await fromServer(test, 429)
  test.equal(
    told(await failure(limited.fetch({ digest, artifactType: undefined, asker: 'alice' }))),
    '429 TOOMANYREQUESTS 5',
  )
})

await t.test('an index that is too large', async (test) => {
  const { fetch } = await fromServer(test, 200, ' '.repeat(4 * 1024 * 1024 + 1))
  test.match(
    (await failure(fetch({ digest, artifactType: undefined, asker: 'alice' }))).message,
    /more than the proxy reads/,
  )
})

await t.test('nobody waits any more', async (test) => {
  const { url, requests } = await serverFor(test, () => undefined)
  const fetch = createReferrers(upstreamFor(test, url).ask, 'openshift/ci')
  const controller = new AbortController()
  const fetched = failure(
    fetch({ digest, artifactType: undefined, asker: 'alice', signal: controller.signal }),
  )
  await until(() => requests.length === 1)
  controller.abort()
  test.equal(told(await fetched), '503 UNAVAILABLE 5')
})
