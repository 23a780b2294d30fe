import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { loadTracing } from '../../src/tracing/load-tracing.ts'
import { noTracing } from '../../src/tracing/tracing.ts'
import { spawnPlainNode } from '../support/program.ts'

const options = { logger: { info: () => undefined, warn: () => undefined }, version: '1.0' }
const endpoint = 'http://127.0.0.1:9'

await t.test('traces are on if an endpoint is set, and nothing turns them off', async (test) => {
  for (const environment of [
    {},
    { OTEL_EXPORTER_OTLP_ENDPOINT: '' },
    { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_SDK_DISABLED: 'TRUE' },
    { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_TRACES_EXPORTER: 'none' },
  ])
    test.equal(await loadTracing(environment, options), noTracing, JSON.stringify(environment))
  for (const environment of [
    { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint },
    {
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: endpoint,
      OTEL_TRACES_EXPORTER: 'otlp',
      OTEL_SDK_DISABLED: 'false',
    },
  ]) {
    const tracing = await loadTracing(environment, options)
    test.not(tracing, noTracing, JSON.stringify(environment))
    await tracing.close()
  }
})

/** Prints how many modules of OpenTelemetry are loaded: with the whole proxy, and with traces. Those of its API do not count: prom-client loads them. */
const counting = `
  import { registerHooks } from 'node:module'
  const loaded = new Set()
  registerHooks({
    load: (url, context, next) => {
      if (/\\/@opentelemetry\\/(?!api\\/)/.test(url)) loaded.add(url)
      return next(url, context)
    },
  })
  await import('./src/proxy/start.ts')
  const { loadTracing } = await import('./src/tracing/load-tracing.ts')
  await loadTracing({}, {})
  console.log(loaded.size)
  const options = { logger: { info: () => undefined, warn: () => undefined }, version: '1.0' }
  await loadTracing({ OTEL_EXPORTER_OTLP_ENDPOINT: '${endpoint}' }, options)
  console.log(loaded.size)
`

await t.test('without traces, no module of OpenTelemetry is loaded', async (test) => {
  const child = spawnPlainNode(['--input-type=module', '-e', counting])
  const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr)])
  if (child.exitCode === null) await once(child, 'close')
  test.equal(errors, '')
  const [off, on] = output.trim().split('\n').map(Number)
  test.equal(off, 0)
  test.ok(Number(on) > 10, 'the count counts')
})
