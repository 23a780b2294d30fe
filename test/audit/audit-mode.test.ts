import { Registry } from 'prom-client'
import t from 'tap'
import { createPolicy } from '../../src/access/policy.ts'
import { localGrants } from '../../src/access/recent-grants.ts'
import { createRequirements, nothingKnown } from '../../src/access/requirement.ts'
import { createAuditMode } from '../../src/audit/audit-mode.ts'
import { createLogger } from '../../src/telemetry/logging.ts'
import { decorateRequests } from '../../src/registry/request-context.ts'
import { createTagOwner } from '../../src/oci/qci-tag.ts'
import { parseReference, parseRepository } from '../../src/oci/reference.ts'
import Fastify from 'fastify'
import { until } from '../support/until.ts'

await t.test('the rule of qci-appci decides, and the rules of enforce are logged', async (test) => {
  const lines: Record<string, unknown>[] = []
  const registry = new Registry()
  const requirementsOf = createRequirements({
    knowledge: nothingKnown,
    isRestricted: () => false,
    unknownDigests: 'allow',
  })
  const reviews = {
    review: async () => ({ allowed: false, source: 'live' as const }),
    peek: () => undefined,
    peekInGrace: () => undefined,
  }
  const policy = createPolicy({
    reviews,
    requirementsOf,
    listedRequirementsOf: requirementsOf,
    qciNamespace: 'ocp',
  })
  const audit = createAuditMode({
    policy,
    requirementsOf,
    reviews,
    recentGrants: localGrants(),
    qciNamespace: 'ocp',
    logger: createLogger('info', { write: (line) => void lines.push(JSON.parse(line) as never) }),
    registry,
  })
  const identity = {
    kind: 'service-account',
    key: 'a',
    user: { username: 'system:serviceaccount:a:b', groups: [], extra: {} },
  } as const
  const ownerOf = createTagOwner(() => false)
  const reference = parseReference(parseRepository('ocp', '4.5', 'openshift/ci'), 'base', ownerOf)
  const decision = await audit.policy.decide(identity, reference)
  test.match(decision, { allowed: true, rule: 'service-account' })
  test.notMatch(
    audit.denied({ identity, wanted: 'ocp_4.5_base', namespace: 'ocp' }).message,
    'system:image-puller',
  )

  const app = Fastify()
  test.teardown(() => app.close())
  decorateRequests(app, () => ({ address: '192.0.2.1', network: '192.0.2.1' }))
  await app.register(audit.plugin)
  app.get('/tag', async (request) => {
    Object.assign(request, { identity, reference, decision })
    return 'ok'
  })
  test.equal((await fetch(`${await app.listen({ port: 0, host: '127.0.0.1' })}/tag`)).status, 200)
  await until(() => lines.length === 1)
  test.match(lines, [{ msg: 'audit', difference: 'loss', identity: 'system:serviceaccount:a:b' }])
  test.match(
    await registry.metrics(),
    'quay_proxy_audit_losses_total{namespace="ocp",kind="service-account"} 1',
  )
})
