import { join } from 'node:path'
import type { V1Deployment, V1PodDisruptionBudget, V1Service } from '@kubernetes/client-node'
import t from 'tap'
import { createRbac, readManifests } from '../src/sandbox/app-ci/rbac.ts'

const manifests = join(import.meta.dirname, '../manifests')

// Design section 10.
const flags = new Set(
  `listen-addr exposed-host exposed-url gracePeriod grace-period robot-username-file robot-password-file
  robot-dockerconfig-file token-secret-file token-validity tls-cert-file tls-key-file interval upstream
  upstream-repository upstream-ca-file kubeconfig qci-namespace restricted-namespaces unknown-digests imagestreams
  authorization authorization-grace allow-anonymous token-audience identity-ttl allow-ttl deny-ttl tag-ttl
  stale-if-error blob-delivery manifest-cache-bytes max-upstream-connections trusted-proxies metrics-addr
  log-level`.split(/\s+/),
)

interface Route {
  readonly spec: {
    readonly host: string
    readonly to: { readonly kind: string; readonly name: string }
    readonly port: { readonly targetPort: string }
    readonly tls: Record<string, string>
  }
}

interface ServiceMonitor {
  readonly spec: {
    readonly selector: { readonly matchLabels: Readonly<Record<string, string>> }
    readonly endpoints: readonly { readonly port: string }[]
  }
}

const objects = await readManifests(manifests)
const find = (kind: string): unknown => objects.find((object) => object.kind === kind)
const deployment = find('Deployment') as V1Deployment
const service = find('Service') as V1Service
const disruptionBudget = find('PodDisruptionBudget') as V1PodDisruptionBudget
const route = (find('Route') as Route).spec
const monitor = (find('ServiceMonitor') as ServiceMonitor).spec
const podSpec = deployment.spec!.template.spec!
const container = podSpec.containers[0]!
const args = new Map(
  container.args!.map((arg) => {
    const [, flag, value] = /^--([a-zA-Z-]+)=(.+)$/.exec(arg) ?? []
    return [flag ?? arg, value ?? ''] as const
  }),
)

await t.test('every manifest is an object we mean', async (test) => {
  const names = objects.map(({ kind, metadata }) => `${kind} ${metadata?.namespace ?? '-'}/${metadata?.name}`)
  test.same(names.toSorted(), [
    'ClusterRole -/quay-proxy',
    'ClusterRole -/system:auth-delegator',
    'ClusterRole -/system:image-puller',
    'ClusterRoleBinding -/quay-proxy',
    'ClusterRoleBinding -/quay-proxy-auth-delegator',
    'Deployment ci/quay-proxy',
    'PodDisruptionBudget ci/quay-proxy',
    'Role ocp/qci-image-puller',
    'RoleBinding my-team/image-puller',
    'RoleBinding ocp/qci-image-puller',
    'Route ci/quay-proxy',
    'Service ci/quay-proxy',
    'ServiceAccount ci/quay-proxy',
    'ServiceAccount my-team/image-puller',
    'ServiceMonitor ci/quay-proxy',
  ])
})

await t.test('the arguments are flags, each given once', async (test) => {
  test.equal(args.size, container.args!.length)
  for (const [flag, value] of args) {
    test.ok(flags.has(flag), flag)
    test.not(value, '', flag)
  }
  test.ok(
    podSpec.terminationGracePeriodSeconds! > Number.parseInt(args.get('grace-period')!, 10) * 60,
    'a pod outlives its grace period',
  )
  test.match(args.get('grace-period'), /^\d+m$/)
})

await t.test('every file an argument names is in a mounted secret', async (test) => {
  const files = [...args].filter(([flag]) => flag.endsWith('-file'))
  test.equal(files.length, 5)
  for (const [flag, file] of files) {
    const mount = container.volumeMounts!.find(({ mountPath }) => file.startsWith(`${mountPath}/`))
    const volume = podSpec.volumes!.find(({ name }) => name === mount?.name)
    test.ok(mount?.readOnly, flag)
    test.equal(mount?.subPath, undefined, 'a subPath is not updated when the secret changes')
    const key = file.slice(mount!.mountPath.length + 1)
    // What a secret without items holds: the service CA's certificate.
    const keys = volume!.secret!.items?.map(({ path }) => path) ?? ['tls.crt', 'tls.key']
    test.ok(keys.includes(key), `${file} is in ${volume!.secret!.secretName}`)
  }
  const certificate = podSpec.volumes!.find(({ name }) => name === 'tls')!.secret!.secretName
  test.equal(
    service.metadata!.annotations!['service.beta.openshift.io/serving-cert-secret-name'],
    certificate,
  )
})

await t.test('the pods have no rights on their node', async (test) => {
  test.match(podSpec.securityContext, { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } })
  test.match(container.securityContext, {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] },
  })
  for (const key of ['hostNetwork', 'hostPID', 'hostIPC'] as const) test.notOk(podSpec[key])
  test.ok(container.resources?.requests?.['cpu'])
  test.ok(container.resources?.requests?.['memory'])
  test.ok(container.resources?.limits?.['memory'])
})

await t.test('the pods survive a drain', async (test) => {
  test.ok(deployment.spec!.replicas! >= 2)
  test.equal(disruptionBudget.spec!.maxUnavailable, 1)
  test.ok(podSpec.topologySpreadConstraints!.length > 0)
})

await t.test('selectors find the pods, ports meet', async (test) => {
  const { labels } = deployment.spec!.template.metadata!
  const selectors = [
    deployment.spec!.selector.matchLabels,
    service.spec!.selector,
    disruptionBudget.spec!.selector!.matchLabels,
    ...podSpec.topologySpreadConstraints!.map(({ labelSelector }) => labelSelector!.matchLabels),
  ]
  for (const selector of selectors) {
    test.ok(selector && Object.keys(selector).length > 0)
    test.match(labels, selector)
  }
  test.match(service.metadata!.labels, monitor.selector.matchLabels)

  const exposed = container.ports!.map(({ containerPort }) => containerPort)
  test.same(
    exposed,
    ['listen-addr', 'metrics-addr'].map((flag) => Number(args.get(flag)!.replace('0.0.0.0:', ''))),
  )
  const ports = service.spec!.ports!
  test.same(
    ports.map(({ port, targetPort }) => [port, targetPort]),
    [
      [443, 8400],
      [9090, 9090],
    ],
  )
  test.equal(monitor.endpoints[0]!.port, ports[1]!.name)
  test.equal(route.port.targetPort, ports[0]!.name)
  test.equal(route.to.name, service.metadata!.name)
  test.equal(route.host, args.get('exposed-host'))
  test.same(route.tls, { termination: 'reencrypt', insecureEdgeTerminationPolicy: 'None' })
})

await t.test('the probes ask the port they can reach', async (test) => {
  for (const [probe, path] of [
    [container.livenessProbe, '/healthz'],
    [container.readinessProbe, '/readyz'],
  ] as const) {
    test.match(probe?.httpGet, { path, port: 'https', scheme: 'HTTPS' })
  }
})

await t.test('who may pull what', async (test) => {
  const rbac = createRbac(objects)
  const groups = ['system:authenticated']
  const people = {
    alice: { username: 'alice', groups: ['qci-image-pullers', ...groups], extra: {} },
    mallory: { username: 'mallory', groups, extra: {} },
    puller: { username: 'system:serviceaccount:my-team:image-puller', groups, extra: {} },
    neighbour: { username: 'system:serviceaccount:other:image-puller', groups, extra: {} },
    proxy: { username: 'system:serviceaccount:ci:quay-proxy', groups, extra: {} },
  }
  const pull = { verb: 'get', group: 'image.openshift.io', resource: 'imagestreams', subresource: 'layers' }
  const mayPull = (namespace: string) =>
    Object.entries(people)
      .filter(([, user]) => rbac.authorize(user, { ...pull, namespace, name: 'app' }).allowed)
      .map(([name]) => name)
  test.same(mayPull('ocp'), ['alice'])
  test.same(mayPull('my-team'), ['puller'])
  test.same(mayPull('ocp-priv'), [])
  test.same(mayPull('ci'), [])
  test.same(mayPull(''), [])

  const may = (user: keyof typeof people, verb: string, group: string, resource: string) =>
    rbac.authorize(people[user], { verb, group, resource }).allowed
  test.ok(may('proxy', 'create', 'authentication.k8s.io', 'tokenreviews'))
  test.ok(may('proxy', 'create', 'authorization.k8s.io', 'subjectaccessreviews'))
  for (const verb of ['list', 'watch'])
    test.ok(may('proxy', verb, 'image.openshift.io', 'imagestreams'), verb)
  for (const verb of ['get', 'update', 'delete'])
    test.notOk(may('proxy', verb, 'image.openshift.io', 'imagestreams'), verb)
  test.notOk(may('proxy', 'list', '', 'secrets'))
  test.notOk(may('puller', 'create', 'authentication.k8s.io', 'tokenreviews'))
  test.notOk(rbac.authorize(people.alice, { ...pull, verb: 'update', namespace: 'ocp' }).allowed, 'pull only')
})
