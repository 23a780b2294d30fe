import t from 'tap'
import { buildMetricsServer } from '../../src/server/metrics-server.ts'
import { listen } from '../registry/fakes.ts'
import { serve } from './server-options.ts'

await t.test('metrics have a server of their own', async (test) => {
  const { options, get } = await serve(test)
  test.equal((await get('/metrics')).status, 404)
  const port = await listen(test, buildMetricsServer(options.telemetry.metrics))
  const response = await fetch(`http://127.0.0.1:${port}/metrics`)
  test.match(response.headers.get('content-type'), 'text/plain')
  test.match(await response.text(), '# TYPE quay_proxy_requests_total counter')
})
