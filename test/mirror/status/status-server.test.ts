import type { AddressInfo } from 'node:net'
import t from 'tap'
import type { Test } from 'tap'
import { desiredImages } from '../../../src/mirror/plan/desired.ts'
import { ImageBook } from '../../../src/mirror/status/image-book.ts'
import { createStatusServer, type MirrorStatus } from '../../../src/mirror/status/status-server.ts'
import { Entry } from '../../../src/mirror/queue/entry.ts'
import { copyOf } from '../queue/copies.ts'
import { configOf, supplemental } from '../validation/entries.ts'

const started = async (test: Test, sync: MirrorStatus['sync'] = async () => undefined) => {
  const book = new ImageBook(() => 'quay.io/openshift/ci:a_b_c')
  const config = configOf(supplemental({ 'a/b:c': 'quay.io/a/b:c', 'a/b:hub': 'fedora' }))
  book.desire(desiredImages(config))
  const queue = () => [new Entry(copyOf('a/b:c')).status()]
  const status = {
    queue,
    images: () => book.list(queue()),
    sync,
    epochOf: Number,
    verdictOf: () => undefined,
  }
  const server = createStatusServer(status)
  test.teardown(async () => await server.close())
  await server.listen({ host: '127.0.0.1', port: 0 })
  return { port: (server.server.address() as AddressInfo).port, book }
}

await t.test('the answers of the former program', async (t) => {
  const { port } = await started(t)
  const get = async (path: string, method = 'GET') => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, {
      method,
      ...(method === 'POST' ? { body: 'anything', headers: { 'content-type': 'application/json' } } : {}),
    })
    const { status, headers } = response
    return {
      status,
      type: headers.get('content-type'),
      sniff: headers.get('x-content-type-options'),
      text: await response.text(),
    }
  }
  const json = { status: 200, type: 'application/json', sniff: null }
  const text = { type: 'text/plain; charset=utf-8', sniff: 'nosniff' }
  t.strictSame(await get('/api/health'), { ...json, text: '{"ok":true}\n' })
  t.strictSame(await get('/api/health', 'POST'), { ...json, text: '{"ok":true}\n' })
  t.strictSame(await get('/api/v1/mirrors'), { ...json, text: '{"total":1}\n' })
  t.match(await get('/api/v1/mirrors?action=show'), {
    ...json,
    text: /^\{"mirrors":\[\{"source_tag_ref".*"total":1\}\n$/,
  })
  t.strictSame(await get('/api/v1/mirrors?action=x'), { status: 500, ...text, text: 'invalid action: x\n' })
  for (const path of ['/', '/api', '/api/health/', '/api/v1/mirrors/'])
    t.strictSame(await get(path), { status: 404, ...text, text: '404 page not found\n' }, path)
})

await t.test('one image, and the request to copy it now', async (t) => {
  const synced: string[] = []
  const { port, book } = await started(t, async (target) => {
    synced.push(target)
    return target === 'a/b:hub' ? 'it is left out' : undefined
  })
  const send = async (path: string, method = 'GET') => {
    const response = await fetch(`http://127.0.0.1:${port}/api/v1/mirrors/${path}`, { method })
    return { status: response.status, text: (await response.text()).trim() }
  }
  const { status, text } = await send('a/b:c')
  t.equal(status, 200)
  t.match(JSON.parse(text), {
    target: 'a/b:c',
    source: 'quay.io/a/b:c',
    state: 'waiting',
    owner: 'supplementalCIImagesService',
    failures: 0,
  })
  t.match(await send('a%2Fb:hub'), { status: 200, text: /"explanation":"It is left out: docker\.io/ })
  t.match(await send('a/b:x'), { status: 404, text: /did you mean a\/b:c\?$/ })
  for (const path of ['nothing', '%', '%ff/x']) t.equal((await send(path)).text, '404 page not found', path)
  t.match(await send('a/b:c/sync'), { status: 405, text: 'sync is a POST' })
  t.match(await send('a/b:c/sync', 'POST'), { status: 202, text: /"state":"waiting"/ })
  t.match(await send('a/b:hub/sync', 'POST'), { status: 409, text: 'it is left out' })
  t.match(await send('a/b:x/sync', 'POST'), { status: 404 })
  t.strictSame(synced, ['a/b:c', 'a/b:hub'])
  book.desire({ images: [], leftOut: [] })
  t.match(await send('a/b:c'), { status: 404, text: /matches it$/ })
})

await t.test('an image that leaves the list while it is compared', async (t) => {
  const { port, book } = await started(t, async () => {
    book.desire({ images: [], leftOut: [] })
    return undefined
  })
  const { status } = await fetch(`http://127.0.0.1:${port}/api/v1/mirrors/a/b:c/sync`, { method: 'POST' })
  t.equal(status, 404)
})
