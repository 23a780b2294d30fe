import t from 'tap'
import { noTracing } from '../../src/tracing/tracing.ts'

await t.test('without traces, a stage is itself', async (test) => {
  const stage = async () => await Promise.resolve('answer')
  test.equal(noTracing.stage('name', stage), stage)
  test.equal(noTracing.startRequest({ name: 'GET', traceparent: undefined, network: '10.0.0.1' }), undefined)
  noTracing.annotate({ key: 'value' })
  test.strictSame(noTracing.outgoing(), {})
  await noTracing.close()
})
