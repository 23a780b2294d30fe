import t, { type Test } from 'tap'
import { createOpenTelemetry, type TracingEnvironment } from '../../src/tracing/open-telemetry.ts'
import { startOtlpReceiver } from '../support/otlp-receiver.ts'
import { until } from '../support/until.ts'

/** The exporter reads the variables of the process. */
const create = (test: Test, environment: TracingEnvironment & Record<string, string>, closeMs = 2000) => {
  const lines: { level: 'info' | 'warn'; fields: object; message: string }[] = []
  const log = (level: 'info' | 'warn') => (fields: object | string, message?: string) =>
    void lines.push(
      typeof fields === 'string'
        ? { level, fields: {}, message: fields }
        : { level, fields, message: String(message) },
    )
  const logger = { info: log('info'), warn: log('warn') } as unknown as Parameters<
    typeof createOpenTelemetry
  >[1]['logger']
  Object.assign(process.env, environment)
  test.teardown(() => {
    for (const name of Object.keys(environment)) delete process.env[name]
  })
  const tracing = createOpenTelemetry(environment, { logger, version: '1.2', closeMs })
  const traceOne = () =>
    tracing
      .startRequest({ name: 'GET', traceparent: undefined, network: '10.0.0.1' })
      ?.end({ text: 'x'.repeat(1000) }, false)
  return { tracing, lines, traceOne }
}

await t.test('spans arrive with the resource, and the end sends what is left', async (test) => {
  const receiver = await startOtlpReceiver(test)
  const { tracing, lines, traceOne } = create(test, {
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${receiver.url}/v1/traces`,
    OTEL_EXPORTER_OTLP_TRACES_HEADERS: 'api-key=hunter2',
    OTEL_SERVICE_NAME: 'quay-proxy-farm',
    OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
  })
  traceOne()
  await tracing.close()
  test.match(receiver.spans, [
    {
      name: 'GET',
      attributes: { text: 'x'.repeat(512) },
      resource: { 'service.name': 'quay-proxy-farm', 'service.version': '1.2', 'service.instance.id': /./ },
    },
  ])
  test.match(lines, [
    { level: 'warn', fields: { protocol: 'grpc' } },
    { level: 'info', fields: { endpoint: receiver.url }, message: 'traces are exported' },
  ])
  test.notOk(JSON.stringify(lines).includes('hunter2'))
})

await t.test('one line when exports begin to fail, and one when they succeed again', async (test) => {
  const receiver = await startOtlpReceiver(test)
  receiver.status = 400
  const { tracing, lines, traceOne } = create(test, {
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
  })
  const sendBatch = async () => {
    const before = receiver.requests.length
    // A whole batch is sent at once.
    for (let index = 0; index < 512; index += 1) traceOne()
    await until(() => receiver.requests.length > before)
  }
  for (const status of [400, 400, 200]) {
    receiver.status = status
    await sendBatch()
  }
  await tracing.close()
  test.match(
    lines.map(({ message }) => message),
    ['traces are exported', 'traces cannot be exported; they are dropped', 'traces are exported again'],
  )
})

await t.test('a collector that is absent does not delay the end for long', async (test) => {
  const { tracing, traceOne } = create(test, { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9' }, 10)
  traceOne()
  await tracing.close()
  test.pass('closed')
})

await t.test('an endpoint that is no URL is an error', async (test) => {
  for (const name of ['OTEL_EXPORTER_OTLP_ENDPOINT', 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'])
    for (const url of ['collector:4318', 'nonsense'])
      test.throws(() => create(test, { [name]: url }), { message: `${name} is not a URL with http or https` })
})
