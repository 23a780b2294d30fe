import { SpanKind, SpanStatusCode } from '@opentelemetry/api'
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace'
import t from 'tap'
import { StageSpans } from '../../src/tracing/stage-spans.ts'
import type { RequestSpan } from '../../src/tracing/tracing.ts'

const create = () => {
  const exporter = new InMemorySpanExporter()
  const provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] })
  const spans = new StageSpans(provider.getTracer('test'))
  const named = (name: string) => exporter.getFinishedSpans().find((span) => span.name === name)
  const start = (traceparent?: string): RequestSpan =>
    spans.startRequest({ name: 'request', traceparent, network: '10.0.0.1' })!
  /** Runs within the span of a request, which ends with it. */
  const within = async (work: () => Promise<void>): Promise<void> => {
    const request = start()
    await new Promise<void>((resolve, reject) => {
      request.run(() => void work().then(resolve, reject))
    })
    request.end({}, false)
  }
  return { spans, named, start, within }
}

const parent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

await t.test('a request continues the trace of its client', async (test) => {
  const { named, start } = create()
  const request = start(parent)
  test.equal(request.traceId, '0af7651916cd43dd8448eb211c80319c')
  request.end({ 'http.response.status_code': 502, left: undefined }, true)
  const span = named('request')
  test.equal(span?.kind, SpanKind.SERVER)
  test.equal(span?.parentSpanContext?.spanId, 'b7ad6b7169203331')
  test.strictSame(span?.attributes, { 'http.response.status_code': 502 })
  test.equal(span?.status.code, SpanStatusCode.ERROR)
})

await t.test('a request that is not sampled has no span', async (test) => {
  const { start } = create()
  test.equal(start(parent.replace(/01$/, '00')), undefined)
})

await t.test('stages are children of the stage that calls them, also after a wait', async (test) => {
  const { spans, named, within } = create()
  const inner = spans.stage(
    (text: string) => `inner ${text}`,
    async (text: string) => await Promise.resolve(text),
    {
      isClient: true,
      requestAttributes: (text) => ({ asked: text }),
      answerAttributes: (text) => ({ answered: text }),
    },
  )
  const outer = spans.stage('outer', async (text: string) => {
    await new Promise(setImmediate)
    spans.annotate({ noted: 5 })
    test.match(spans.outgoing()['traceparent'], /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)
    return await inner(text)
  })
  await within(async () => void test.equal(await outer('x'), 'x'))
  test.equal(named('outer')?.parentSpanContext?.spanId, named('request')?.spanContext().spanId)
  test.strictSame(named('outer')?.attributes, { noted: 5 })
  test.equal(named('inner x')?.parentSpanContext?.spanId, named('outer')?.spanContext().spanId)
  test.equal(named('inner x')?.kind, SpanKind.CLIENT)
  test.strictSame(named('inner x')?.attributes, { asked: 'x', answered: 'x' })
})

await t.test('outside of a traced request, stages have no spans', async (test) => {
  const { spans, named } = create()
  const stage = spans.stage('stage', async () => await Promise.resolve(5))
  test.equal(await stage(), 5)
  spans.annotate({ key: 'value' })
  test.strictSame(spans.outgoing(), {})
  test.equal(named('stage'), undefined)
})

await t.test('background work that outlives its request does not belong to the trace', async (test) => {
  const { spans, named, start } = create()
  const stage = spans.stage('stage', async () => await Promise.resolve(5))
  const request = start()
  const later = Promise.withResolvers<void>()
  let work = Promise.resolve(0)
  request.run(() => {
    work = later.promise.then(stage)
  })
  request.end({}, false)
  later.resolve()
  test.equal(await work, 5)
  test.equal(named('stage'), undefined)
})

await t.test('a stage that answers at once', async (test) => {
  const { spans, named, within } = create()
  const stage = spans.stage('stage', (text: string) => text, {
    answerAttributes: (text) => ({ answered: text }),
  })
  const bare = spans.stage('bare', () => 'x')
  const broken = spans.stage('broken', () => {
    throw new TypeError('secret')
  })
  await within(async () => {
    test.equal(stage('x'), 'x')
    test.equal(bare(), 'x')
    test.throws(broken, { message: 'secret' })
  })
  test.strictSame(named('stage')?.attributes, { answered: 'x' })
  test.ok(named('bare'))
  test.match(named('broken'), {
    attributes: { 'error.type': 'TypeError' },
    status: { code: SpanStatusCode.ERROR },
  })
})

await t.test(
  'a failure has its kind, and never its message; the answer to a wrong request is none',
  async (test) => {
    const { spans, named, within } = create()
    const fail = (name: string, error: object) =>
      spans.stage(name, async () => {
        await Promise.resolve()
        throw Object.assign(new Error('https://cdn.example/?signature=hunter2'), error)
      })
    await within(async () => {
      await test.rejects(fail('missing', { code: 'MANIFEST_UNKNOWN', status: 404 })())
      await test.rejects(fail('away', { code: 'UNAVAILABLE', status: 503 })())
    })
    test.strictSame(named('missing')?.attributes, { 'error.type': 'MANIFEST_UNKNOWN' })
    test.equal(named('missing')?.status.code, SpanStatusCode.UNSET)
    test.equal(named('away')?.status.code, SpanStatusCode.ERROR)
    test.strictSame(named('away')?.events, [])
  },
)

await t.test('a prolonged stage ends with its later work, whose stages are its children', async (test) => {
  const { spans, named, within } = create()
  const inner = spans.stage('inner', async () => await Promise.resolve(1))
  const open = spans.stage('open', async (work: () => Promise<number>) => await Promise.resolve({ work }), {
    prolong: (answer, lasting) => ({ work: async () => await lasting(answer.work) }),
  })
  const broken = spans.stage(
    'broken',
    async () => await Promise.resolve({ work: async () => await Promise.reject(new RangeError()) }),
    {
      prolong: (answer, lasting) => ({ work: async () => await lasting(answer.work) }),
    },
  )
  const short = spans.stage('short', async () => await Promise.resolve(1), { prolong: (answer) => answer })
  await within(async () => {
    const { work } = await open(inner)
    test.equal(named('open'), undefined)
    test.equal(await work(), 1)
    await test.rejects((await broken()).work())
    test.equal(await short(), 1)
  })
  test.equal(named('inner')?.parentSpanContext?.spanId, named('open')?.spanContext().spanId)
  test.match(named('broken'), { attributes: { 'error.type': 'RangeError' } })
  test.ok(named('short'))
})
