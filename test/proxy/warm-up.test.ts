import t from 'tap'
import type { Test } from 'tap'
import { unavailable } from '../../src/oci/errors.ts'
import { createLogger } from '../../src/telemetry/logging.ts'
import { warmUp, type WarmUpOptions } from '../../src/proxy/warm-up.ts'
import { until } from '../support/until.ts'

type Answer = Error | 'answered'

/** Whom both sides are played by: each answer is given once, the last one from then on. */
const warm = (test: Test, sides: { apiServer?: Answer[]; robot?: Answer[] }) => {
  const lines: { level: string; msg: string; err?: { message: string; cause?: { message: string } } }[] = []
  const asked = { apiServer: 0, robot: 0 }
  const specs: unknown[] = []
  const say = (side: keyof typeof asked) => {
    const answers = sides[side] ?? ['answered']
    const answer = answers[Math.min(asked[side]++, answers.length - 1)]
    if (answer instanceof Error) throw answer
  }
  const ending = new AbortController()
  test.teardown(() => ending.abort())
  const options: WarmUpOptions = {
    apiServer: {
      reviewAccess: async (spec) => {
        specs.push(spec)
        say('apiServer')
        return { allowed: false }
      },
    },
    robot: {
      acquire: async () => {
        say('robot')
        return { authorization: undefined, rejected: async () => undefined }
      },
    },
    qciNamespace: 'ocp',
    logger: createLogger('info', { write: (line) => void lines.push(JSON.parse(line) as never) }),
    signal: ending.signal,
    apiServerIntervalMs: 1,
    upstreamIntervalMs: 1,
  }
  return { ended: warmUp(options), ending, lines, asked, specs }
}

const refused = unavailable('it refuses the proxy', new Error('API server answered 403'))
const silent = unavailable('it does not answer', new Error('connect ECONNREFUSED 127.0.0.1:6443'))

await t.test('both answer: each gets one request, and nothing is logged', async (test) => {
  const { ended, lines, asked, specs } = warm(test, {})
  await ended
  test.same(asked, { apiServer: 1, robot: 1 })
  test.same(lines, [])
  test.match(specs, [{ user: 'system:anonymous', resourceAttributes: { namespace: 'ocp', verb: 'get' } }])
})

await t.test('app.ci: each reason is logged once with its cause, then that it is reached', async (test) => {
  const apiServer = [silent, silent, refused, silent, refused, 'answered' as const]
  const { ended, lines, asked } = warm(test, { apiServer })
  await ended
  test.same(asked, { apiServer: 6, robot: 1 })
  test.match(
    lines.map(({ level, msg, err }) => [level, msg, err?.message, err?.cause?.message]),
    [
      [
        'warn',
        'cannot reach the app.ci API server; retrying',
        silent.message,
        'connect ECONNREFUSED 127.0.0.1:6443',
      ],
      ['warn', 'cannot reach the app.ci API server; retrying', refused.message, 'API server answered 403'],
      ['info', 'app.ci is reached', undefined, undefined],
    ],
  )
  test.equal(lines.length, 3)
})

await t.test('upstream: its reason is logged as well, and readiness does not depend on it', async (test) => {
  const { ended, lines, asked } = warm(test, { robot: [silent, silent, 'answered'] })
  await ended
  test.same(asked, { apiServer: 1, robot: 3 })
  test.match(
    lines.map(({ level, msg }) => [level, msg]),
    [
      ['warn', 'cannot reach upstream; retrying'],
      ['info', 'upstream is reached'],
    ],
  )
  test.equal(lines.length, 2)
})

await t.test('a warm-up that is ended while it waits or sends is silent', async (test) => {
  const waiting = warm(test, { apiServer: [silent], robot: [silent] })
  await until(() => waiting.lines.length === 2)
  waiting.ending.abort()
  await waiting.ended
  const asked = { ...waiting.asked }
  const ending = new AbortController()
  const lines: string[] = []
  const fails = async () => {
    ending.abort()
    throw silent
  }
  await warmUp({
    apiServer: { reviewAccess: fails },
    robot: { acquire: fails },
    qciNamespace: 'ocp',
    logger: createLogger('info', { write: (line) => void lines.push(line) }),
    signal: ending.signal,
  })
  test.same(lines, [])
  test.same(waiting.asked, asked)
  test.equal(waiting.lines.length, 2)
})
