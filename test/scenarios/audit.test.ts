import { createReportBuilder } from '../../src/audit/report.ts'
import { reportText } from '../../src/audit/report-text.ts'
import { readManifests } from '../../src/sandbox/app-ci/rbac.ts'
import { accept, manifests, scenario, type Scenario } from './scenario.ts'

const unboundFor = ({ kubernetes, remember }: Scenario) =>
  remember(kubernetes.issueServiceAccountToken({ namespace: 'my-team', name: 'default' }))

const auditLines = ({ lines }: Scenario) => lines().filter(({ msg }) => msg === 'audit')

/** The proxy writes the line after the answer. The timeout of the test bounds the wait. */
const untilAudited = async (s: Scenario, count: number): Promise<void> => {
  while (auditLines(s).length < count) await new Promise((resolve) => setTimeout(resolve, 5))
}

const reportOf = ({ lines }: Scenario) => {
  const summing = createReportBuilder('ocp')
  for (const line of lines()) summing.add(JSON.stringify(line))
  return summing.report()
}

const binding = (name: string, namespace: string) => ({
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'RoleBinding',
  metadata: { name, namespace },
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'system:image-puller' },
  subjects: [{ kind: 'ServiceAccount', name: 'default', namespace: 'my-team' }],
})

const audit = ['--authorization=audit', '--deny-ttl=1ms']

await scenario(
  'audit: a requester that would lose access pulls, and the report names the binding that prevents the loss',
  async (t, s) => {
    const token = unboundFor(s)
    const answer = await s.ask('/v2/ocp/4.5/manifests/base', { token, headers: { accept } })
    t.equal(answer.status, 200)
    await untilAudited(s, 1)
    const digest = answer.headers.get('docker-content-digest')
    const requestId = answer.headers.get('x-request-id')
    const common = {
      requestId,
      identity: 'system:serviceaccount:my-team:default',
      kind: 'service-account',
      image: 'ocp_4.5_base',
      digest,
      namespace: 'ocp',
      rule: 'service-account',
    }
    t.match(auditLines(s), [{ ...common, difference: 'loss', openedBy: ['image-puller', 'qci-wide'] }])
    const decisions = s.lines().filter(({ decision }) => decision !== undefined)
    t.match(decisions, [{ ...common, msg: 'request', decision: 'allowed', source: 'none' }])
    t.equal(decisions.length, 1, 'one line a decision')
    const metrics = await s.metrics()
    t.match(metrics, 'quay_proxy_audit_losses_total{namespace="ocp",kind="service-account"} 1')
    t.match(metrics, 'decisions_total{rule="service-account",source="none",kind="service-account"} 1')
    const text = reportText(reportOf(s))
    const command =
      'oc policy add-role-to-user system:image-puller system:serviceaccount:my-team:default -n ocp'
    t.ok(text.includes(command), text)

    s.kubernetes.replaceObjects([
      ...(await Promise.all(manifests.map(readManifests))).flat(),
      binding('audited', 'ocp'),
    ])
    const again = await s.ask('/v2/ocp/4.5/manifests/base', { token, headers: { accept } })
    t.equal(again.status, 200)
    const restricted = await s.ask('/v2/ocp-priv/4.5/manifests/embargoed', { token, headers: { accept } })
    t.equal(restricted.status, 200, 'qci-appci has no restricted namespaces')
    await untilAudited(s, 2)
    t.match(auditLines(s).slice(1), [{ namespace: 'ocp-priv', openedBy: ['image-puller'] }])
  },
  audit,
)

await scenario(
  'audit: the rule of qci-appci decides about people, and differences of both kinds are logged',
  async (t, s) => {
    const status = async (path: string, token: string) =>
      (await s.ask(path, { token, headers: { accept } })).status
    t.equal(await status('/v2/ocp/4.5/manifests/base', s.mallory), 403)
    t.equal(await status('/v2/ocp/4.5/tags/list', s.mallory), 403)
    t.equal(await status('/v2/ocp/4.5/manifests/base', s.alice), 200)
    t.equal(await status('/v2/ocp/4.5/manifests/base', s.puller), 200)
    t.equal(await status('/v2/my-team/app/manifests/latest', s.puller), 200)
    t.equal(await status('/v2/ocp-priv/4.5/manifests/embargoed', s.alice), 200)
    await untilAudited(s, 2)
    t.match(auditLines(s), [
      { difference: 'loss', identity: 'system:serviceaccount:my-team:image-puller', namespace: 'ocp' },
      { difference: 'loss', identity: 'alice', kind: 'user', namespace: 'ocp-priv' },
    ])
    t.match(
      s.lines().find(({ identity }) => identity === 'mallory'),
      { decision: 'denied', rule: 'none' },
    )
    const { losses } = reportOf(s)
    t.match(
      losses.find(({ kind }) => kind === 'user'),
      { keptBy: [/^oc policy add-role-to-group system:image-puller GROUP -n ocp-priv/] },
    )
    const missing = await s.ask('/v2/ocp/4.5/manifests/absent', { token: s.puller, headers: { accept } })
    t.equal(missing.status, 404)
    const refusal = await s.ask('/v2/ocp/4.5/manifests/base', { token: s.mallory })
    t.match(refusal.message, /qci-image-puller in namespace ocp/)
    t.equal(auditLines(s).length, 2, 'neither a refusal of both nor what is not there is a difference')
  },
  audit,
)

await scenario(
  'audit: lists and referrers stay as they are, without a line for each tag',
  async (t, s) => {
    const token = unboundFor(s)
    const list = async (path: string) => {
      const { body, status } = await s.ask(path, { token })
      t.equal(status, 200, path)
      return (JSON.parse(body.toString()) as { tags: string[] }).tags
    }
    t.ok((await list('/v2/ocp/4.5/tags/list')).includes('base'))
    const all = await list('/v2/openshift/ci/tags/list')
    t.ok(all.includes('ocp_4.5_base') && all.includes('ocp-priv_4.5_embargoed'))
    const { headers } = await s.ask('/v2/ocp/4.5/manifests/base', { token, headers: { accept } })
    const digest = headers.get('docker-content-digest') ?? ''
    t.equal((await s.ask(`/v2/openshift/ci/referrers/${digest}`, { token })).status, 200)
    await untilAudited(s, 1)
    t.match(auditLines(s), [{ image: 'ocp_4.5_base' }])
    t.equal(auditLines(s).length, 1)
    t.match(
      s.lines().filter(({ repository, decision }) => repository === 'ocp/4.5' && decision === 'allowed'),
      [{ namespace: 'ocp', rule: 'service-account' }, { image: 'ocp_4.5_base' }],
      'the list of an image stream is a decision too',
    )
  },
  audit,
)

await scenario(
  'audit: an unavailable or slow app.ci does not affect what the old rule allows',
  async (t, s) => {
    const token = unboundFor(s)
    t.equal((await s.ask('/v2/', { token })).status, 200, 'the token is known')
    s.kubernetes.fault({ kind: 'hang' })
    // The test decides when a review has expired.
    const review = new AbortController()
    t.capture(AbortSignal, 'timeout', () => review.signal)
    const answer = await s.ask('/v2/ocp/4.5/manifests/base', { token, headers: { accept } })
    t.equal(answer.status, 200)
    t.same(auditLines(s), [], 'nothing is waited for')
    review.abort(new DOMException('too slow', 'TimeoutError'))
    await untilAudited(s, 1)
    t.match(auditLines(s), [{ difference: 'undecided', namespace: 'ocp' }])
    t.match(await s.metrics(), 'quay_proxy_audit_undecided_total 1')
  },
  audit,
)

await scenario('enforce: the same service account is refused, and nothing is audited', async (t, s) => {
  const token = unboundFor(s)
  const answer = await s.ask('/v2/ocp/4.5/manifests/base', { token, headers: { accept } })
  t.equal(answer.status, 403)
  t.equal((await s.ask('/v2/ocp/4.5/manifests/base', { token: s.mallory })).status, 403)
  t.same(auditLines(s), [])
  t.notMatch(await s.metrics(), 'audit_losses_total{')
})
