import { Registry } from 'prom-client'
import t from 'tap'
import type { Test } from 'tap'
import type { ClusterIdentity } from '../../src/access/identity.ts'
import type { Decision } from '../../src/access/policy.ts'
import { auditLog } from '../../src/audit/audit-log.ts'
import { createAuditMetrics } from '../../src/audit/audit-metrics.ts'
import type { EvaluateShadow, ShadowDecision } from '../../src/audit/shadow-decision.ts'
import { createTagOwner } from '../../src/oci/qci-tag.ts'
import { parseReference, parseRepository } from '../../src/oci/reference.ts'
import { routePaths } from '../../src/registry/route-paths.ts'
import { createLogger } from '../../src/telemetry/logging.ts'
import { alice, allowed, bareApp, digest, listen, refused } from '../registry/fakes.ts'
import { until } from '../support/until.ts'

const ownerOf = createTagOwner((namespace) => namespace.endsWith('-priv'))
const repository = parseRepository('ocp', '4.5', 'openshift/ci')
const account: ClusterIdentity = {
  ...alice,
  kind: 'service-account',
  user: { username: 'system:serviceaccount:my-team:puller', groups: [], extra: {} },
}
const legacy: Decision = { allowed: true, rule: 'service-account', namespace: 'ocp', source: 'none' }
const byBoth = { openedBy: ['image-puller', 'qci-wide'] } as const

interface Row {
  readonly decision?: Decision
  readonly shadow: ShadowDecision | Promise<ShadowDecision>
  readonly text?: string
  readonly status?: number
}

/** Audited requests, each with a path of its own. */
const setUp = async (test: Test, rows: Readonly<Record<string, Row>>, evaluate?: EvaluateShadow) => {
  const lines: Record<string, unknown>[] = []
  const logger = createLogger('info', { write: (line) => void lines.push(JSON.parse(line) as never) })
  const registry = new Registry()
  const evaluated: unknown[] = []
  const queue: Row['shadow'][] = []
  const app = bareApp(test)
  await app.register(
    auditLog({
      evaluate:
        evaluate ??
        (async (identity, reference) => {
          evaluated.push({ identity, reference })
          return await (queue.shift() as Row['shadow'])
        }),
      logger,
      metrics: createAuditMetrics(registry),
    }),
  )
  for (const [path, { decision, shadow, text = 'base', status = 200 }] of Object.entries(rows))
    app.get(path, async (request, reply) => {
      request.identity = account
      request.reference = parseReference(repository, text, ownerOf)
      request.decision = decision ?? null
      queue.push(shadow)
      return await reply.code(status).header('docker-content-digest', digest).send('')
    })
  const url = `http://127.0.0.1:${await listen(test, app)}`
  const get = async (path: string) => (await fetch(`${url}${path}`)).status
  return { get, lines, evaluated, metrics: async () => await registry.metrics() }
}

await t.test('a loss is a line and a count, after the response', async (test) => {
  const { promise, resolve } = Promise.withResolvers<ShadowDecision>()
  const { get, lines, evaluated, metrics } = await setUp(test, {
    '/tag': { decision: legacy, shadow: promise },
  })
  test.equal(await get('/tag'), 200, 'the answer does not wait for the shadow decision')
  await until(() => evaluated.length === 1)
  test.match(evaluated, [{ identity: account, reference: { qciTag: 'ocp_4.5_base' } }])
  test.strictSame(lines, [])
  resolve({ decision: refused, ...byBoth })
  await until(() => lines.length === 1)
  test.match(lines, [
    {
      level: 'warn',
      msg: 'audit',
      difference: 'loss',
      requestId: /./,
      identity: 'system:serviceaccount:my-team:puller',
      kind: 'service-account',
      namespace: 'ocp',
      image: 'ocp_4.5_base',
      digest,
      rule: 'service-account',
      openedBy: ['image-puller', 'qci-wide'],
    },
  ])
  test.match(await metrics(), 'quay_proxy_audit_losses_total{namespace="ocp",kind="service-account"} 1')
})

await t.test('a gain is logged, an undecided request is counted, and agreement is silent', async (test) => {
  const { get, lines, evaluated, metrics } = await setUp(test, {
    '/same': { decision: allowed, shadow: { decision: allowed, ...byBoth } },
    '/gain': { decision: refused, shadow: { decision: allowed, ...byBoth }, status: 403 },
    '/undecided': {
      decision: legacy,
      shadow: { decision: undefined, error: new Error('unavailable'), ...byBoth },
    },
  })
  for (const path of ['/same', '/gain', '/undecided']) {
    const before = evaluated.length
    await get(path)
    await until(() => evaluated.length > before)
  }
  await until(() => lines.length === 2)
  test.match(lines, [
    { level: 'info', difference: 'gain', rule: 'qci-wide' },
    { level: 'warn', difference: 'undecided', err: { message: 'unavailable' } },
  ])
  const shown = await metrics()
  test.match(shown, 'quay_proxy_audit_undecided_total 1')
  test.notMatch(shown, 'audit_losses_total{')
})

await t.test('no review is spent on requests that tell nothing', async (test) => {
  const loss = { decision: legacy, shadow: { decision: refused, ...byBoth } }
  const { get, evaluated, lines } = await setUp(test, {
    '/missing': { ...loss, status: 404 },
    '/failed': { ...loss, status: 503 },
    '/no-decision': { shadow: loss.shadow },
    [routePaths.referrers]: { ...loss, text: digest },
    '/last': loss,
  })
  for (const path of ['/missing', '/failed', '/no-decision', `/v2/ocp/4.5/referrers/${digest}`, '/nowhere'])
    await get(path)
  await get('/last')
  await until(() => lines.length > 0)
  test.equal(evaluated.length, 1)
})

await t.test('attack: a namespace that a client makes up before a digest is no label', async (test) => {
  const { get, lines, metrics } = await setUp(test, {
    '/digest': {
      decision: { ...legacy, namespace: 'made-up' },
      shadow: { decision: refused, openedBy: ['qci-wide'] },
      text: digest,
    },
    '/nameless': {
      decision: { allowed: true, rule: 'service-account', source: 'none' },
      shadow: { decision: refused, ...byBoth },
      text: digest,
    },
  })
  await get('/digest')
  await get('/nameless')
  await until(() => lines.length === 2)
  test.match(lines[0], { namespace: 'made-up', image: digest, digest })
  test.match(await metrics(), 'audit_losses_total{namespace="(none)",kind="service-account"} 2')
})

await t.test('attack: an exception of the audit costs a line, and not the process', async (test) => {
  const { get, lines } = await setUp(
    test,
    { '/failing': { decision: legacy, shadow: { decision: refused, ...byBoth } } },
    async () => {
      throw new RangeError('unexpected')
    },
  )
  test.equal(await get('/failing'), 200)
  test.equal(await get('/failing'), 200)
  await until(() => lines.length > 0)
  test.match(lines, [{ level: 'error', where: 'audit', err: { type: 'RangeError' } }])
  test.equal(lines.length, 1)
})
