import type { AddressInfo } from 'node:net'
import t from 'tap'
import { createStatusServer } from '../../../src/mirror/status/status-server.ts'
import { Entry } from '../../../src/mirror/queue/entry.ts'
import { copyOf } from '../queue/copies.ts'

await t.test('the answers of the former program', async (t) => {
  const server = createStatusServer(() => [new Entry(copyOf('a/b:c')).status()])
  t.teardown(async () => await server.close())
  await server.listen({ host: '127.0.0.1', port: 0 })
  const { port } = server.server.address() as AddressInfo
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
