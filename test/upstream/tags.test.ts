import t from 'tap'
import type { Test } from 'tap'
import { createTags } from '../../src/upstream/tags.ts'
import { quayFor, smallImage } from '../sandbox/quay/quay-client.ts'
import { connect, failure, serverFor, told, until, upstreamFor } from './upstream.ts'
import type { TestServer } from './upstream.ts'
import type { FetchTags } from '../../src/oci/image-source.ts'

const fromServer = async (
  test: Test,
  status: number,
  body: string,
  headers: Record<string, string> = {},
): Promise<TestServer & { fetch: FetchTags }> => {
  const server = await serverFor(
    test,
    (_request, response) => void response.writeHead(status, headers).end(body),
  )
  return { ...server, fetch: createTags(upstreamFor(test, server.url).send, 'openshift/ci') }
}

await t.test(
  'trap 29: pages are requested by the last tag; a Link of upstream only means that there are more',
  async (test) => {
    const quay = await quayFor(test)
    const names = Array.from({ length: 250 }, (_, index) => `t${String(index).padStart(3, '0')}`)
    quay.tagMany(names, await smallImage())
    const fetch = createTags(connect(test, quay).send, 'openshift/ci')
    test.strictSame(await fetch({ after: undefined, requester: 'alice' }), {
      tags: names.slice(0, 100),
      more: true,
    })
    test.strictSame(await fetch({ after: 't099', requester: 'alice' }), {
      tags: names.slice(100, 200),
      more: true,
    })
    test.strictSame(await fetch({ after: 't199', requester: 'alice' }), {
      tags: names.slice(200),
      more: false,
    })
    test.strictSame(await fetch({ after: 't249', requester: 'alice' }), { tags: [], more: false })
    test.strictSame(
      quay.requests.filter(({ url }) => url.includes('tags')).map(({ url }) => url),
      ['', '&last=t099', '&last=t199', '&last=t249'].map((last) => `/v2/openshift/ci/tags/list?n=100${last}`),
    )
  },
)

await t.test('the request has no field of a client', async (test) => {
  const { fetch, requests, url } = await fromServer(test, 200, '{"tags":[]}')
  await fetch({ after: 'a&b=c/../d', requester: 'alice' })
  const { host } = new URL(url)
  test.strictSame(requests, [
    {
      method: 'GET',
      url: '/v2/openshift/ci/tags/list?n=100&last=a%26b%3Dc%2F..%2Fd',
      headers: {
        host,
        connection: 'keep-alive',
        accept: 'application/json',
        'accept-encoding': 'identity',
      },
    },
  ])
})

await t.test('an empty list of distribution is read', async (test) => {
  const link = '</v2/>; rel="next"'
  const { fetch } = await fromServer(test, 200, '{"name":"openshift/ci","tags":null}', { link })
  test.strictSame(
    await fetch({ after: undefined, requester: 'alice' }),
    { tags: [], more: false },
    'nothing to go on from',
  )
})

await t.test('an unreadable list is a 503', async (test) => {
  const bodies = ['', '<html>', 'null', '1', '[]', '{}', '{"tags":"a"}', '{"tags":{}}', '{"tags":["a",1]}']
  for (const body of bodies) {
    const error = await failure(
      (await fromServer(test, 200, body)).fetch({ after: undefined, requester: 'alice' }),
    )
    test.equal(told(error), '503 UNAVAILABLE 5', body)
    test.match(error.message, /unreadable tag list/)
  }
})

await t.test('a list that is too large is a 503', async (test) => {
  const { fetch } = await fromServer(test, 200, ' '.repeat(1024 * 1024 + 1))
  test.match(
    (await failure(fetch({ after: undefined, requester: 'alice' }))).message,
    /more than the proxy reads/,
  )
})

await t.test('a response that is not a list is a 503', async (test) => {
  for (const status of [204, 400, 403, 404, 405]) {
    const error = await failure(
      (await fromServer(test, status, '')).fetch({ after: undefined, requester: 'alice' }),
    )
    test.equal(told(error), '503 UNAVAILABLE 5')
    test.match(error.cause, new Error(`upstream answered ${status}`))
  }
  test.equal(
    told(await failure((await fromServer(test, 429, '')).fetch({ after: undefined, requester: 'alice' }))),
    '429 TOOMANYREQUESTS 5',
  )
})

await t.test('the request ends when its caller leaves', async (test) => {
  const { url, requests } = await serverFor(test, () => undefined)
  const fetch = createTags(upstreamFor(test, url).send, 'openshift/ci')
  const controller = new AbortController()
  const fetched = failure(fetch({ after: undefined, requester: 'alice', signal: controller.signal }))
  await until(() => requests.length === 1)
  controller.abort()
  test.equal(told(await fetched), '503 UNAVAILABLE 5')
})
