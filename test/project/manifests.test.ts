import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  loadYaml,
  type V1ConfigMap,
  type V1Deployment,
  type V1NetworkPolicy,
  type V1PodDisruptionBudget,
  type V1Service,
  type V1StatefulSet,
  type V1Volume,
  type V1VolumeMount,
} from '@kubernetes/client-node'
import t from 'tap'
import { aliases, flags as known, deprecatedFlags } from '../../src/config/flags.ts'
import { parseSize } from '../../src/config/value-parsers.ts'
import { createRbac, readManifests } from '../../src/sandbox/app-ci/rbac.ts'
import { accumulate } from './kustomize.ts'

const manifests = join(import.meta.dirname, '../../manifests')

const flags = new Set([
  ...Object.values(known).map(({ name }) => name),
  ...Object.keys({ ...aliases, ...deprecatedFlags }),
])

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
const find = (kind: string, name = 'quay-proxy'): unknown =>
  objects.find((object) => object.kind === kind && object.metadata?.name === name)
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

await t.test('every manifest is an expected object', async (test) => {
  const names = objects.map(({ kind, metadata }) => `${kind} ${metadata?.namespace ?? '-'}/${metadata?.name}`)
  test.same(names.toSorted(), [
    'ClusterRole -/ci-images-mirror',
    'ClusterRole -/ci-images-mirror-operator',
    'ClusterRole -/ci-images-mirror-viewer',
    'ClusterRole -/quay-proxy',
    'ClusterRole -/system:auth-delegator',
    'ClusterRole -/system:image-puller',
    'ClusterRoleBinding -/ci-images-mirror',
    'ClusterRoleBinding -/ci-images-mirror-viewers',
    'ClusterRoleBinding -/quay-proxy',
    'ClusterRoleBinding -/quay-proxy-auth-delegator',
    'Component -/undefined',
    'Component -/undefined',
    'Component -/undefined',
    'Component -/undefined',
    'Component -/undefined',
    'Component -/undefined',
    'Component -/undefined',
    'Component -/undefined',
    'ConfigMap ci/ci-images-mirror-dashboard',
    'ConfigMap ci/qci-cache',
    'ConfigMap ci/quay-proxy-cache',
    'ConfigMap ci/quay-proxy-dashboard',
    'Deployment ci/ci-images-mirror',
    'Deployment ci/qci-cache',
    'Deployment ci/quay-proxy',
    'Deployment ci/quay-proxy',
    'HorizontalPodAutoscaler ci/quay-proxy',
    'ImageDigestMirrorSet -/quay-proxy',
    'ImageDigestMirrorSet -/quay-proxy-image-streams',
    'ImageDigestMirrorSet -/quay-proxy-monorepo',
    'ImageTagMirrorSet -/quay-proxy',
    'ImageTagMirrorSet -/quay-proxy-image-streams',
    'ImageTagMirrorSet -/quay-proxy-monorepo',
    'Ingress ci/quay-proxy',
    'Kustomization -/undefined',
    'Kustomization -/undefined',
    'Kustomization -/undefined',
    'Kustomization -/undefined',
    'Kustomization -/undefined',
    'Kustomization -/undefined',
    'Kustomization -/undefined',
    'Kustomization -/undefined',
    'Namespace -/ci',
    'Namespace -/my-team',
    'Namespace -/ocp',
    'NetworkPolicy ci/ci-images-mirror',
    'NetworkPolicy ci/qci-cache',
    'NetworkPolicy ci/quay-proxy',
    'NetworkPolicy ci/quay-proxy-cache',
    'NetworkPolicy ci/quay-proxy-state',
    'PodDisruptionBudget ci/qci-cache',
    'PodDisruptionBudget ci/quay-proxy',
    'PodDisruptionBudget ci/quay-proxy-cache',
    'PriorityClass -/quay-proxy',
    'PrometheusRule ci/ci-images-mirror',
    'PrometheusRule ci/quay-proxy',
    'PrometheusRule ci/quay-proxy-cache',
    'Role ci/ci-images-mirror',
    'Role ocp/qci-image-puller',
    'RoleBinding ci/ci-images-mirror',
    'RoleBinding my-team/image-puller',
    'RoleBinding ocp/qci-image-puller',
    'Route ci/qci-pull-through-cache-us-east-1',
    'Route ci/quay-proxy',
    'Service ci/ci-images-mirror',
    'Service ci/qci-cache',
    'Service ci/quay-proxy',
    'Service ci/quay-proxy-cache',
    'Service ci/quay-proxy-state',
    'ServiceAccount ci/ci-images-mirror',
    'ServiceAccount ci/quay-proxy',
    'ServiceAccount my-team/image-puller',
    'ServiceMonitor ci/ci-images-mirror',
    'ServiceMonitor ci/quay-proxy',
    'ServiceMonitor ci/quay-proxy-cache',
    'StatefulSet ci/quay-proxy-cache',
    'StatefulSet ci/quay-proxy-state',
  ])
})

const accumulated = await accumulate(manifests)
const applied = accumulated.objects

await t.test('`oc apply -k manifests` applies only objects of the proxy', async (test) => {
  const names = applied.map(({ kind, metadata }) => `${kind} ${metadata?.namespace ?? '-'}/${metadata?.name}`)
  test.same(names.toSorted(), [
    'ClusterRole -/quay-proxy',
    'ClusterRoleBinding -/quay-proxy',
    'ClusterRoleBinding -/quay-proxy-auth-delegator',
    'ConfigMap ci/quay-proxy-dashboard',
    'Deployment ci/quay-proxy',
    'NetworkPolicy ci/quay-proxy',
    'NetworkPolicy ci/quay-proxy-state',
    'PodDisruptionBudget ci/quay-proxy',
    'PriorityClass -/quay-proxy',
    'PrometheusRule ci/quay-proxy',
    'PrometheusRule ci/quay-proxy-cache',
    'Route ci/quay-proxy',
    'Service ci/quay-proxy',
    'Service ci/quay-proxy-state',
    'ServiceAccount ci/quay-proxy',
    'ServiceMonitor ci/quay-proxy',
    'StatefulSet ci/quay-proxy-state',
  ])
  test.ok(names.includes(`ServiceAccount ci/${podSpec.serviceAccountName}`), 'no pod is created without it')
})

// Attack of one's own: app.ci has a RoleBinding qci-image-puller with the groups of all who may pull; applied anew, it has ours alone.
await t.test('`oc apply -k manifests` touches no object that app.ci has', async (test) => {
  const forAppCi = await accumulate(join(manifests, 'overlays/app.ci'))
  for (const { kind, metadata } of [...applied, ...forAppCi.objects]) {
    const what = `${kind} ${metadata?.namespace ?? '-'}/${metadata?.name}`
    test.match(metadata?.name, /^quay-proxy(?:-|$)/, `${what} is called after us`)
    test.ok(metadata?.namespace === undefined || metadata.namespace === 'ci', `${what} is in our namespace`)
  }
  // What opens images to people is theirs to bind: an example, said to be none for app.ci.
  const rights = ['Role', 'ClusterRole'].flatMap((kind) => applied.filter((object) => object.kind === kind))
  test.notMatch(JSON.stringify(rights), 'imagestreams/layers')
  const example = await readFile(join(manifests, 'examples/qci-image-puller.yaml'), 'utf8')
  test.match(example, /^# .*Never apply it to app\.ci/)
})

const policy = find('NetworkPolicy') as V1NetworkPolicy

await t.test('network policy: clients through the routers, metrics for the scrapers', async (test) => {
  const { spec, metadata } = policy
  test.equal(metadata!.namespace, deployment.metadata!.namespace)
  test.same(spec!.podSelector, { matchLabels: deployment.spec!.template.metadata!.labels })
  test.same(
    spec!.policyTypes,
    ['Ingress'],
    'what is not let in is shut out, and nothing is kept from leaving',
  )
  test.equal(spec!.egress, undefined)
  const routers = { matchLabels: { 'policy-group.network.openshift.io/ingress': '' } }
  const nodes = { matchLabels: { 'policy-group.network.openshift.io/host-network': '' } }
  const scrapers = {
    matchExpressions: [
      {
        key: 'kubernetes.io/metadata.name',
        operator: 'In',
        values: ['openshift-monitoring', 'openshift-user-workload-monitoring'],
      },
    ],
  }
  const port = (name: string) => container.ports!.find((one) => one.name === name)!.containerPort
  // No rule without `from`, no empty selector, no address block: any of them would let in every pod.
  test.same(spec!.ingress, [
    { _from: [{ namespaceSelector: routers }], ports: [{ protocol: 'TCP', port: port('https') }] },
    {
      _from: [{ namespaceSelector: scrapers }, { namespaceSelector: nodes }],
      ports: [{ protocol: 'TCP', port: port('metrics') }],
    },
  ])
  const open = service.spec!.ports!.map(({ targetPort }) => Number(targetPort))
  const ruled = spec!.ingress!.flatMap(({ ports }) => ports!.map((one) => Number(one.port)))
  test.same(new Set(ruled), new Set(open), 'each port of the Service has a rule')
})

await t.test('an image has the version of its content', async (test) => {
  const { version } = JSON.parse(await readFile(join(manifests, '../package.json'), 'utf8')) as {
    version: string
  }
  const image = `registry.ci.openshift.org/ci/quay-proxy:${version}`
  test.equal(container.image, image)
  const readme = await readFile(join(manifests, '../README.md'), 'utf8')
  test.match(readme, `.ci/image && buildah push ${image}`)
  const images = objects.flatMap((object) => [...JSON.stringify(object).matchAll(/"image":"([^"]+)"/g)])
  test.ok(images.length >= 2)
  for (const [, one = ''] of images)
    test.match(one, /:v?\d+\.\d+\.\d+(?:@sha256:[0-9a-f]{64})?$/, 'no tag that moves')
})

/** What the `oc create secret` of a document make: `name/key`. */
const secretsMadeIn = async (document: string) =>
  [
    ...(await readFile(join(manifests, '..', document), 'utf8')).matchAll(
      /oc create secret generic (\S+) -n ci((?: --from-(?:file|literal)=\S+)+)/g,
    ),
  ].flatMap(([, name, sources = '']) =>
    [...sources.matchAll(/--from-(?:file|literal)=([\w-]+)/g)].map(([, key]) => `${name}/${key}`),
  )

await t.test('the arguments are flags, each used once', async (test) => {
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

await t.test('every file of an argument is in a mounted secret', async (test) => {
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

await t.test('README.md makes every secret that is not of the service CA', async (test) => {
  const mounted = podSpec
    .volumes!.filter(({ name }) => name !== 'tls')
    .flatMap(({ secret }) => secret?.items?.map(({ key }) => `${secret.secretName}/${key}`) ?? [])
  const ofState = ['quay-proxy-state/acl', 'quay-proxy-state/password']
  test.same((await secretsMadeIn('README.md')).toSorted(), [...mounted, ...ofState].toSorted())
})

await t.test('the pods have no privileges on their node', async (test) => {
  test.match(podSpec.securityContext, { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } })
  test.match(container.securityContext, {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] },
  })
  for (const key of ['hostNetwork', 'hostPID', 'hostIPC'] as const) test.notOk(podSpec[key])
  test.ok(container.resources?.requests?.['cpu'])
})

await t.test('the memory limit of a pod fits the flags', async (test) => {
  const { requests, limits } = container.resources!
  const bytesOf = ({ name, fallback }: { readonly name: string; readonly fallback: string }) =>
    parseSize(args.get(name) ?? fallback)!
  const [manifestCache, connections] = [
    bytesOf(known.manifestCacheBytes),
    bytesOf(known.maxUpstreamConnections),
  ]
  // As measured, see the manifest.
  const usual = 270e6 + 1.8 * manifestCache + 270e3 * connections
  test.ok(parseSize(requests!['memory']!)! >= usual)
  const ofTheKernel = 1.4e6 * connections
  test.ok(parseSize(limits!['memory']!)! >= usual + 600e6 + ofTheKernel)
})

await t.test('the pods survive a drain', async (test) => {
  test.ok(deployment.spec!.replicas! >= 2)
  test.equal(
    Number(args.get('replicas')),
    deployment.spec!.replicas,
    'each takes its share of what quay grants',
  )
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

await t.test('the probes use the port that clients cannot fill', async (test) => {
  test.same(container.livenessProbe?.httpGet, { path: '/healthz', port: 'metrics' })
  test.same(container.readinessProbe?.httpGet, { path: '/readyz', port: 'metrics' })
  const { httpGet, periodSeconds, failureThreshold } = container.startupProbe!
  test.same(httpGet, container.livenessProbe?.httpGet)
  test.ok(periodSeconds! * failureThreshold! >= 60, 'a slow node has a minute at least')
  // Plain http, and that port: see the ports above.
  test.equal(container.ports!.find(({ name }) => name === 'metrics')?.containerPort, 9090)
})

await t.test('access by identity and image', async (test) => {
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

const cache = {
  deployment: find('Deployment', 'qci-cache') as V1Deployment,
  configMap: find('ConfigMap', 'qci-cache') as V1ConfigMap,
  service: find('Service', 'qci-cache') as V1Service,
  networkPolicy: find('NetworkPolicy', 'qci-cache') as V1NetworkPolicy,
  disruptionBudget: find('PodDisruptionBudget', 'qci-cache') as V1PodDisruptionBudget,
}
const cachePod = cache.deployment.spec!.template
const cacheContainer = cachePod.spec!.containers[0]!

interface CacheConfig {
  readonly version: number
  readonly storage: Record<string, Record<string, unknown>>
  readonly http: Record<string, string>
  readonly proxy: Record<string, string>
  readonly health: Record<string, unknown>
}
const cacheConfig = loadYaml<CacheConfig>(cache.configMap.data!['config.yml']!)

await t.test('only quay-proxy reaches the cache', async (test) => {
  const { spec, metadata } = cache.networkPolicy
  test.equal(metadata!.namespace, cache.deployment.metadata!.namespace)
  test.same(
    spec!.podSelector,
    { matchLabels: cachePod.metadata!.labels },
    'it is about the pods of the cache',
  )
  test.same(spec!.policyTypes, ['Ingress'], 'what is not let in is shut out')
  // No namespaceSelector, no ipBlock, no second rule: any of them would let in somebody else.
  test.same(spec!.ingress, [
    {
      _from: [{ podSelector: { matchLabels: deployment.spec!.template.metadata!.labels } }],
      ports: [{ protocol: 'TCP', port: cacheContainer.ports![0]!.containerPort }],
    },
  ])
  test.equal(deployment.metadata!.namespace, metadata!.namespace, 'a podSelector is of its own namespace')
  test.notMatch(cachePod.metadata!.labels, service.spec!.selector, 'no client is sent to it')
  test.equal(cache.service.spec!.type, 'ClusterIP')
  test.equal(cacheConfig.http['debug'], undefined)
  const routed = objects.filter(({ kind }) => kind === 'Route' || kind === 'ServiceMonitor')
  test.notOk(JSON.stringify(routed).includes('qci-cache'))
})

await t.test('the selectors of the cache find its pods, and its ports meet', async (test) => {
  const { labels } = cachePod.metadata!
  for (const selector of [
    cache.deployment.spec!.selector.matchLabels,
    cache.service.spec!.selector,
    cache.disruptionBudget.spec!.selector!.matchLabels,
    ...cachePod.spec!.topologySpreadConstraints!.map(({ labelSelector }) => labelSelector!.matchLabels),
  ])
    test.same(selector, labels)
  const [port] = cacheContainer.ports!
  test.same(
    cache.service.spec!.ports!.map(({ port, targetPort }) => [port, targetPort]),
    [[5000, port!.containerPort]],
  )
  test.equal(cacheConfig.http['addr'], `:${port!.containerPort}`)
  test.match(cacheContainer.readinessProbe!.httpGet, { path: '/v2/', port: port!.name })
  test.same(cacheContainer.livenessProbe!.tcpSocket, { port: port!.name })
  test.ok(cache.deployment.spec!.replicas! >= 2)
  test.equal(cache.disruptionBudget.spec!.maxUnavailable, 1)
  test.equal(cache.deployment.spec!.strategy!.rollingUpdate!.maxUnavailable, 0)
})

await t.test(
  'the pods of the cache have no privileges on their node, and none in the cluster',
  async (test) => {
    const pod = cachePod.spec!
    test.same(pod.securityContext, podSpec.securityContext)
    test.same(cacheContainer.securityContext, container.securityContext)
    for (const key of ['hostNetwork', 'hostPID', 'hostIPC'] as const) test.notOk(pod[key])
    test.equal(pod.automountServiceAccountToken, false)
    test.equal(pod.enableServiceLinks, false, 'the environment is configuration')
    test.ok(cacheContainer.resources?.requests?.['cpu'])
    test.ok(cacheContainer.resources?.requests?.['memory'])
    test.match(cacheContainer.image, /:\d+\.\d+\.\d+(?:@sha256:[0-9a-f]{64})?$/, 'not a tag that moves')
  },
)

await t.test('the memory limit of the cache fits 200 blobs in progress', async (test) => {
  const limit = parseSize(cacheContainer.resources!.limits!['memory']!)!
  test.equal(cacheConfig.storage['s3']!['chunksize'], 5 * 2 ** 20)
  // In parts of that size, as measured: see docs/cache.md.
  test.ok(limit >= 3.63 * 2 ** 30)
  const goMemLimit = cacheContainer.env!.find(({ name }) => name === 'GOMEMLIMIT')!.value!
  const bytes = parseSize(goMemLimit.replace(/B$/, ''))!
  test.ok(bytes > limit * 0.8 && bytes < limit * 0.95, 'what Go does not count has room beside it')
})

await t.test('the configuration of the cache has no secrets', async (test) => {
  const [mount] = cacheContainer.volumeMounts!
  const [volume] = cachePod.spec!.volumes!
  test.equal(volume!.configMap!.name, cache.configMap.metadata!.name)
  test.same(cacheContainer.args, ['serve', `${mount!.mountPath}/config.yml`])
  test.match(cacheConfig, {
    storage: {
      s3: { region: String, bucket: String },
      redirect: { disable: true },
      delete: { enabled: true },
    },
    proxy: { remoteurl: 'https://quay.io' },
    health: { storagedriver: { enabled: true } },
  })
  // See the manifest: replicas would answer with what another one has deleted.
  test.equal(cacheConfig.storage['cache'], undefined)
  const drainSeconds = Number.parseInt(cacheConfig.http['draintimeout']!, 10) * 60
  test.match(cacheConfig.http['draintimeout'], /^\d+m$/)
  test.ok(cachePod.spec!.terminationGracePeriodSeconds! > drainSeconds, 'a pod outlives its draining')

  test.same(
    cacheContainer.env!.map(({ name, value, valueFrom }) => [name, value, valueFrom?.secretKeyRef?.name]),
    [
      ['REGISTRY_PROXY_USERNAME', undefined, 'qci-cache-robot'],
      ['REGISTRY_PROXY_PASSWORD', undefined, 'qci-cache-robot'],
      ['REGISTRY_STORAGE_S3_ACCESSKEY', undefined, 'qci-cache-s3'],
      ['REGISTRY_STORAGE_S3_SECRETKEY', undefined, 'qci-cache-s3'],
      ['REGISTRY_HTTP_SECRET', undefined, 'qci-cache-http'],
      ['GOMEMLIMIT', '3600MiB', undefined],
    ],
  )
  const robot = podSpec.volumes!.find(({ name }) => name === 'robot')!.secret!
  test.not(
    robot.secretName,
    'qci-cache-robot',
    'that of quay-proxy may hold several robots, the one of the cache one',
  )
  for (const key of ['username', 'password', 'accesskey', 'secretkey', 'secret'])
    test.notMatch(cache.configMap.data!['config.yml'], new RegExp(`^ *${key}:`, 'm'), key)
  test.notOk(objects.some(({ kind }) => kind === 'Secret'))
})

await t.test('docs/cache.md creates every secret that the caches read', async (test) => {
  const read = cacheContainer.env!.flatMap(({ valueFrom }) =>
    valueFrom === undefined ? [] : [`${valueFrom.secretKeyRef!.name}/${valueFrom.secretKeyRef!.key}`],
  )
  const ofFarm = 'quay-proxy-cache-token-secret/token-secret'
  test.match(JSON.stringify(find('StatefulSet', 'quay-proxy-cache')), ofFarm.split('/')[0]!)
  // test/project/farm-cache.test.ts has the component that mounts it.
  const ofBucket = 'quay-proxy-cache-s3/credentials'
  test.same((await secretsMadeIn('docs/cache.md')).toSorted(), [...read, ofFarm, ofBucket].toSorted())
})

const state = {
  set: find('StatefulSet', 'quay-proxy-state') as V1StatefulSet,
  service: find('Service', 'quay-proxy-state') as V1Service,
  networkPolicy: find('NetworkPolicy', 'quay-proxy-state') as V1NetworkPolicy,
}
const statePod = state.set.spec!.template
const stateContainer = statePod.spec!.containers[0]!

interface Component {
  readonly resources: readonly string[]
  readonly patches: readonly { readonly target: Record<string, string>; readonly patch: string }[]
}
interface Addition {
  readonly op: string
  readonly path: string
  readonly value: string | V1Volume | V1VolumeMount
}

await t.test('the applied manifests include shared state, and name existing objects', async (test) => {
  const { components } = accumulated.kustomizations.get(manifests)!
  test.same(components, [
    'components/route',
    'components/network-policy',
    'components/monitoring',
    'components/shared-state',
  ])
  const component = accumulated.kustomizations.get(
    join(manifests, 'components/shared-state'),
  ) as unknown as Component
  test.same(component.resources, ['valkey.yaml', 'networkpolicy.yaml'])
  const [{ target, patch }] = component.patches as [Component['patches'][0]]
  test.same(target, { kind: deployment.kind, name: deployment.metadata!.name })
  const additions = loadYaml<readonly Addition[]>(patch)
  test.ok(additions.every(({ op }) => op === 'add'))
  const at = (path: string) => additions.filter((one) => one.path.endsWith(path)).map(({ value }) => value)
  const given = new Map(
    at('/args/-').map((arg) => /^--([a-z-]+)=(.+)$/.exec(arg as string)!.slice(1) as [string, string]),
  )
  for (const flag of given.keys()) {
    test.ok(flags.has(flag), flag)
    test.notOk(args.has(flag), 'given once')
  }
  const url = new URL(given.get('shared-state')!)
  const { metadata, spec } = state.service
  test.equal(url.hostname, `${metadata!.name}.${metadata!.namespace}.svc`)
  test.equal(Number(url.port), spec!.ports![0]!.port)
  test.same([url.protocol, url.password], ['rediss:', ''])
  const mounts = at('/volumeMounts/-') as V1VolumeMount[]
  const volumes = at('/volumes/-') as V1Volume[]
  for (const [flag, name] of [
    ['shared-state-password-file', 'shared-state'],
    ['shared-state-ca-file', 'service-ca'],
  ] as const) {
    const mount = mounts.find((one) => one.name === name)!
    test.ok(mount.readOnly)
    test.ok(given.get(flag)!.startsWith(`${mount.mountPath}/`), flag)
    test.ok(
      volumes.some((one) => one.name === name),
      flag,
    )
  }
  test.same(volumes.find(({ secret }) => secret !== undefined)!.secret, {
    secretName: 'quay-proxy-state',
    items: [{ key: 'password', path: given.get('shared-state-password-file')!.split('/').at(-1) }],
  })
})

await t.test('only quay-proxy reaches the store, and it reaches nobody', async (test) => {
  const { spec } = state.networkPolicy
  const { labels } = statePod.metadata!
  for (const selector of [
    spec!.podSelector!.matchLabels,
    state.set.spec!.selector.matchLabels,
    state.service.spec!.selector,
  ])
    test.same(selector, labels)
  test.same(spec!.policyTypes, ['Ingress', 'Egress'])
  test.equal(spec!.egress, undefined)
  test.same(spec!.ingress, [
    {
      _from: [{ podSelector: { matchLabels: deployment.spec!.template.metadata!.labels } }],
      ports: [{ protocol: 'TCP', port: stateContainer.ports![0]!.containerPort }],
    },
  ])
  test.not(labels!['app'], service.spec!.selector!['app'], 'no client is sent to it')
  test.equal(state.service.spec!.type, 'ClusterIP')
  test.equal(state.service.spec!.ports![0]!.targetPort, stateContainer.ports![0]!.containerPort)
})

await t.test('the store writes no disk, evicts nothing, and has no privileges', async (test) => {
  const given = stateContainer.args!
  const valueOf = (flag: string) => given[given.indexOf(flag) + 1]
  test.same(['--port', '--tls-port', '--save', '--appendonly', '--maxmemory-policy'].map(valueOf), [
    '0',
    String(stateContainer.ports![0]!.containerPort),
    '',
    'no',
    'noeviction',
  ])
  const bytes = parseSize(valueOf('--maxmemory')!.replace(/mb$/, 'Mi'))!
  test.ok(parseSize(stateContainer.resources!.limits!['memory']!)! >= bytes * 1.3)
  test.ok(stateContainer.resources!.requests!['cpu'])
  test.match(stateContainer.image, /:\d+\.\d+\.\d+(?:@sha256:[0-9a-f]{64})?$/, 'not a tag that moves')
  test.same(statePod.spec!.securityContext, podSpec.securityContext)
  test.same(stateContainer.securityContext, container.securityContext)
  test.equal(statePod.spec!.automountServiceAccountToken, false)
  test.equal(statePod.spec!.enableServiceLinks, false)
  for (const file of [...given, ...stateContainer.livenessProbe!.exec!.command!].filter((arg) =>
    arg.startsWith('/'),
  ))
    test.ok(
      stateContainer.volumeMounts!.some(({ mountPath }) => file.startsWith(`${mountPath}/`)),
      file,
    )
  test.equal(
    state.service.metadata!.annotations!['service.beta.openshift.io/serving-cert-secret-name'],
    statePod.spec!.volumes!.find(({ name }) => name === 'tls')!.secret!.secretName,
  )
})
