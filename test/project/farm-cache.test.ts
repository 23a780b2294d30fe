/** manifests/cache, the cache of a build farm, the mirror sets of its nodes, and the component with a disk for each replica. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  loadYaml,
  type V1ConfigMap,
  type V1Container,
  type V1Deployment,
  type V1NetworkPolicy,
  type V1Service,
  type V1StatefulSet,
} from '@kubernetes/client-node'
import t from 'tap'
import { flags as known } from '../../src/config/flags.ts'
import { parseSize } from '../../src/config/value-parsers.ts'
import { readManifests, type KubernetesObject } from '../../src/sandbox/app-ci/rbac.ts'
import { accumulate, type Kustomization } from './kustomize.ts'

const manifests = join(import.meta.dirname, '../../manifests')
const { objects } = await accumulate(join(manifests, 'cache'))
const find = (kind: string): KubernetesObject | undefined => objects.find((object) => object.kind === kind)
const statefulSet = find('StatefulSet') as V1StatefulSet
const pod = statefulSet.spec!.template.spec!
const container = pod.containers[0]!
const args = new Map(
  container.args!.map((arg) => /^--([a-z-]+)=(.+)$/.exec(arg)!.slice(1) as [string, string]),
)
const { host = '' } = (find('ConfigMap') as V1ConfigMap).data!
const proxy = (await readManifests(join(manifests, 'base'))).find(
  ({ kind }) => kind === 'Deployment',
) as V1Deployment

await t.test('every flag exists, and every file is mounted', async (test) => {
  const names = new Set(Object.values(known).map(({ name }) => name))
  test.equal(args.size, container.args!.length, 'each flag once')
  for (const [flag, value] of args) {
    test.ok(names.has(flag), flag)
    if (!flag.endsWith('-file')) continue
    const mount = container.volumeMounts!.find(({ mountPath }) => value.startsWith(`${mountPath}/`))!
    const volume = pod.volumes!.find(({ name }) => name === mount.name)
    const keys = volume?.secret?.items?.map(({ path }) => path) ?? ['tls.crt', 'tls.key']
    test.ok(keys.includes(value.slice(mount.mountPath.length + 1)), value)
  }
  const claims = statefulSet.spec!.volumeClaimTemplates!.map(({ metadata }) => metadata!.name)
  test.same(
    container.volumeMounts!.map(({ name }) => name).toSorted(),
    [...claims, ...pod.volumes!.map(({ name }) => name)].map(String).toSorted(),
    'all volumes are mounted',
  )
})

await t.test('nodes log in as the robot, and no other login and no cluster is used', async (test) => {
  test.equal(args.get('logins'), 'robots')
  test.equal(args.get('require-strong-secrets'), 'true')
  for (const flag of ['kubeconfig', 'imagestreams', 'allow-anonymous', 'authorization'])
    test.notOk(args.has(flag), flag)
  test.equal(pod.automountServiceAccountToken, false)
  test.equal(pod.enableServiceLinks, false)
  const robot = pod.volumes!.find(({ name }) => name === 'robot')!.secret!
  test.equal(robot.secretName, 'qci-robot-credentials', 'the secret of the former cache')
})

await t.test('the host is that of the Route, and the key of the pull secrets', async (test) => {
  const route = find('Route') as unknown as {
    metadata: { name: string; namespace: string }
    spec: { to: { name: string }; tls: Record<string, string> }
  }
  const { name, namespace } = route.metadata
  test.match(name, /^qci-pull-through-cache-[a-z0-9-]+$/)
  test.ok(host.startsWith(`${name}-${namespace}.apps.`), host)
  test.equal(args.get('exposed-host'), '$(CACHE_HOST)')
  test.match(container.env, [
    { name: 'CACHE_HOST', valueFrom: { configMapKeyRef: { name: 'quay-proxy-cache', key: 'host' } } },
  ])
  test.equal(route.spec.to.name, find('Service')!.metadata!.name)
  test.same(route.spec.tls, { termination: 'reencrypt', insecureEdgeTerminationPolicy: 'None' })
})

await t.test('selectors find the pods of the cache and no others, and ports are the same', async (test) => {
  const { labels } = statefulSet.spec!.template.metadata!
  test.not(labels!['app'], proxy.spec!.selector.matchLabels!['app'], 'no person is sent here')
  const service = find('Service') as V1Service
  const policy = find('NetworkPolicy') as V1NetworkPolicy
  const selectors = [
    statefulSet.spec!.selector.matchLabels,
    service.spec!.selector,
    policy.spec!.podSelector!.matchLabels,
    (find('PodDisruptionBudget') as unknown as { spec: { selector: { matchLabels: object } } }).spec.selector
      .matchLabels,
    (find('ServiceMonitor') as unknown as { spec: { selector: { matchLabels: object } } }).spec.selector
      .matchLabels,
    ...pod.topologySpreadConstraints!.map(({ labelSelector }) => labelSelector!.matchLabels),
  ]
  for (const selector of selectors) test.same(selector, labels)
  const ports = container.ports!.map(({ containerPort }) => containerPort)
  test.same(
    service.spec!.ports!.map(({ targetPort }) => targetPort),
    ports,
  )
  test.same(
    policy.spec!.ingress!.flatMap(({ ports: open }) => open!.map(({ port }) => port)),
    ports,
  )
  for (const { _from: from } of policy.spec!.ingress!) test.ok(from!.length > 0, 'no rule admits everybody')
  test.same(policy.spec!.policyTypes, ['Ingress'])
})

await t.test('pods have no privileges, and as long to end as their pulls', async (test) => {
  const base = proxy.spec!.template.spec!
  test.same(container.securityContext, base.containers[0]!.securityContext)
  test.match(pod.securityContext, base.securityContext!)
  test.equal(container.image, base.containers[0]!.image)
  test.same(container.livenessProbe, base.containers[0]!.livenessProbe)
  test.same(container.readinessProbe, base.containers[0]!.readinessProbe)
  test.equal(args.get('grace-period'), '2m')
  test.ok(pod.terminationGracePeriodSeconds! > 120)
  test.equal(
    Number(args.get('replicas')),
    statefulSet.spec!.replicas,
    'together never more than quay.io grants',
  )
})

/** Bytes that a file system needs for itself, as a share of the volume. */
const overhead = 0.1

await t.test('the cache fits into its volume, with room for running fills', async (test) => {
  const [claim] = statefulSet.spec!.volumeClaimTemplates!
  const volume = parseSize(claim!.spec!.resources!.requests!['storage']!)!
  test.equal(args.get('cache-dir'), container.volumeMounts!.find(({ name }) => name === 'cache')!.mountPath)
  test.ok(parseSize(args.get('cache-bytes')!)! <= volume * (1 - overhead))
})

await t.test('components/cache-disk gives each replica a directory on a volume that fits', async (test) => {
  const text = await readFile(join(manifests, 'components/cache-disk/kustomization.yaml'), 'utf8')
  const [patch] = loadYaml<Kustomization>(text).patches!
  const values = loadYaml<readonly { path: string; value: unknown }[]>(patch!.patch!).map(
    ({ value }) => value,
  )
  const [directory, bytes, mount, volume] = values as [string, string, object, V1StatefulSet]
  test.equal(directory, '--cache-dir=/cache')
  test.same(mount, { name: 'cache', mountPath: '/cache' })
  const size = /"storage":"([^"]+)"/.exec(JSON.stringify(volume))![1]!
  test.ok(parseSize(bytes.split('=')[1]!)! <= parseSize(size)! * (1 - overhead))
})

await t.test(
  'overlays/build-farm adds a bucket, with flags that exist and a secret that is mounted',
  async (test) => {
    const built = (await accumulate(join(manifests, 'overlays/build-farm'))).objects
    test.same(
      built.map(({ kind }) => kind),
      objects.map(({ kind }) => kind),
      'the same objects',
    )
    const { template } = (built.find(({ kind }) => kind === 'StatefulSet') as V1StatefulSet).spec!
    const [{ args: given = [], volumeMounts = [] }] = template.spec!.containers as [V1Container]
    const more = given.slice(container.args!.length)
    test.same(given.slice(0, container.args!.length), container.args)
    const names = new Set(Object.values(known).map(({ name }) => name))
    for (const arg of more) test.ok(names.has(/^--([a-z0-9-]+)=/.exec(arg)![1]!), arg)
    test.match(more[0], /^--cache-s3=s3:\/\/[a-z-]+\/[a-z-]+$/)
    const { mountPath } = volumeMounts.find(({ name }) => name === 's3')!
    const { secret } = template.spec!.volumes!.find(({ name }) => name === 's3')!
    test.ok(more.includes(`--cache-s3-credentials-file=${mountPath}/${secret!.items![0]!.path}`))
    const text = await readFile(join(manifests, '../docs/cache.md'), 'utf8')
    test.match(
      text,
      `oc create secret generic ${secret!.secretName} -n ci --from-file=${secret!.items![0]!.key}`,
    )
  },
)

interface MirrorSet extends KubernetesObject {
  readonly spec: Readonly<
    Record<string, readonly { readonly source: string; readonly mirrors: readonly string[] }[]>
  >
}

await t.test(
  'the mirror sets of a farm: the cache first, in both forms, for tags and digests',
  async (test) => {
    const sets = (await readManifests(join(manifests, 'mirror-sets'))).filter(
      ({ metadata }) => metadata?.name === 'quay-proxy',
    ) as MirrorSet[]
    test.same(sets.map(({ kind }) => String(kind)).toSorted(), ['ImageDigestMirrorSet', 'ImageTagMirrorSet'])
    for (const { kind, spec } of sets) {
      const mirrors = Object.values(spec).flat()
      test.same(
        mirrors,
        [
          {
            source: 'quay-proxy.ci.openshift.org/openshift/ci',
            mirrors: [`${host}/openshift/ci`, 'quay.io/openshift/ci'],
          },
          { source: 'quay-proxy.ci.openshift.org', mirrors: [host] },
          { source: 'quay.io/openshift/ci', mirrors: [`${host}/openshift/ci`] },
        ],
        String(kind),
      )
    }
  },
)
