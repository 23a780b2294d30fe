import t from 'tap'
import Fastify from 'fastify'
import { health } from '../../src/server/health.ts'
import { listen } from '../registry/fakes.ts'

await t.test('alive always; ready once there is no reason against it', async (test) => {
  const reasons = ['shutting down', 'upstream was not asked yet']
  const app = Fastify()
  await app.register(health, { notReady: () => reasons, status: () => ['restricted index: whole'] })
  const port = await listen(test, app)
  const get = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`)
    const { status, headers } = response
    return { status, type: headers.get('content-type'), body: await response.text() }
  }
  for (const path of ['/healthz', '/livez'])
    test.match(await get(path), { status: 200, type: 'text/plain', body: 'ok\n' }, path)
  test.match(await get('/readyz'), { status: 503, body: 'shutting down\nupstream was not asked yet\n' })
  reasons.length = 0
  test.match(await get('/readyz'), { status: 200, type: 'text/plain', body: 'ok\n' })
  test.equal((await get('/readyz')).body, 'ok\n', 'and no more')
  test.equal((await get('/readyz?verbose')).body, 'ok\nrestricted index: whole\n')
})
