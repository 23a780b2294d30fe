import { ROOT_CONTEXT, SpanKind, trace } from '@opentelemetry/api'
import { SamplingDecision } from '@opentelemetry/sdk-trace'
import t from 'tap'
import { createSampler, withNetwork, type SamplerEnvironment } from '../../src/tracing/sampling.ts'

const low = '0'.repeat(31) + '1'
const high = 'f'.repeat(8) + '0'.repeat(24)

const sampler = (environment: SamplerEnvironment = {}) => {
  const clock = { ms: 0 }
  const created = createSampler(environment, () => clock.ms)
  /** @param parent of another process; `local`: of this one */
  const isSampled = ({
    parent,
    traceId = low,
    network = '10.0.0.1',
  }: { parent?: 'sampled' | 'not sampled' | 'local'; traceId?: string; network?: string } = {}): boolean => {
    const spanContext = {
      traceId,
      spanId: 'b7ad6b7169203331',
      traceFlags: parent === 'not sampled' ? 0 : 1,
      isRemote: parent !== 'local',
    }
    const context = parent === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, spanContext)
    const { decision } = created.shouldSample(
      withNetwork(context, network),
      traceId,
      'name',
      SpanKind.SERVER,
      {},
      [],
    )
    return decision !== SamplingDecision.NOT_RECORD
  }
  const count = (many: number, options: (index: number) => Parameters<typeof isSampled>[0]) =>
    Array.from({ length: many }, (_, index) => isSampled(options(index))).filter(Boolean).length
  return { created, clock, isSampled, count }
}

await t.test('the requests that each sampler samples', async (test) => {
  const none = undefined
  for (const [name, argument, root, rootHigh, remoteYes, remoteNo] of [
    [none, none, true, true, true, false],
    ['', '', true, true, true, false],
    ['parentbased_always_on', none, true, true, true, false],
    ['parentbased_always_off', none, false, false, true, false],
    ['parentbased_traceidratio', '0.5', true, false, true, false],
    ['always_on', none, true, true, true, true],
    ['always_off', none, false, false, false, false],
    ['traceidratio', '0.5', true, false, true, true],
    ['traceidratio', none, true, true, true, true],
  ] as const) {
    const { isSampled, created } = sampler({
      ...(name === undefined ? {} : { OTEL_TRACES_SAMPLER: name }),
      ...(argument === undefined ? {} : { OTEL_TRACES_SAMPLER_ARG: argument }),
    })
    test.equal(isSampled(), root, `${name} root`)
    test.equal(isSampled({ traceId: high }), rootHigh, `${name} root of a high id`)
    test.equal(isSampled({ parent: 'sampled' }), remoteYes, `${name} sampled by the client`)
    test.equal(isSampled({ parent: 'not sampled' }), remoteNo, `${name} not sampled by the client`)
    test.equal(isSampled({ parent: 'local' }), true, `${name} a stage of a sampled request`)
    test.match(created.toString(), 'limited(')
  }
})

await t.test('by the clock of the process', async (test) => {
  const { decision } = createSampler({}).shouldSample(ROOT_CONTEXT, low, 'name', SpanKind.SERVER, {}, [])
  test.equal(decision, SamplingDecision.RECORD_AND_SAMPLED)
})

await t.test('a variable without a meaning is an error', async (test) => {
  test.throws(() => createSampler({ OTEL_TRACES_SAMPLER: 'jaeger_remote' }), {
    message: 'OTEL_TRACES_SAMPLER: "jaeger_remote" is not a sampler',
  })
  for (const argument of ['x', '-1', '1.1', 'NaN'])
    test.throws(
      () => createSampler({ OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: argument }),
      {
        message: `OTEL_TRACES_SAMPLER_ARG: "${argument}" is not a number from 0 to 1`,
      },
    )
})

await t.test('attack: a client that has each of its requests sampled', async (test) => {
  const { clock, isSampled, count } = sampler({ OTEL_TRACES_SAMPLER: 'parentbased_always_off' })
  const flood = () => ({ parent: 'sampled' }) as const
  test.equal(count(1000, flood), 50)
  test.ok(isSampled({ parent: 'sampled', network: '10.0.0.2' }), 'others still are')
  clock.ms = 1000
  test.equal(count(1000, flood), 10)
  test.equal(
    count(1000, () => ({ parent: 'local' })),
    1000,
    'stages of a sampled request are not limited',
  )
})

await t.test('attack: many clients at once', async (test) => {
  const { clock, count } = sampler()
  const flood = (index: number) => ({ network: `10.0.${index % 200}.1` })
  test.equal(count(1000, flood), 250)
  clock.ms = 1000
  test.equal(count(1000, flood), 50)
})
