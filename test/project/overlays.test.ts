/** The overlays, the components that they choose among, and the mirror sets: what each gives can start, and fits the cluster it is for. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type {
  V1ClusterRole,
  V1Deployment,
  V1Service,
  V2HorizontalPodAutoscaler,
} from '@kubernetes/client-node'
import t from 'tap'
import { aliases, deprecatedFlags, flags as known } from '../../src/config/flags.ts'
import { parseMirrorArguments } from '../../src/mirror/arguments.ts'
import { readManifests, type KubernetesObject } from '../../src/sandbox/app-ci/rbac.ts'
import { accumulate } from './kustomize.ts'

const manifests = join(import.meta.dirname, '../../manifests')
const flags = new Set([
  ...Object.values(known).map(({ name }) => name),
  ...Object.keys({ ...aliases, ...deprecatedFlags }),
])

/** What a directory gives with `oc apply -k`: its objects, the pod of the proxy, and its arguments. */
const builtOf = async (directory: string) => {
  const built = (await accumulate(join(manifests, directory))).objects
  const one = (kind: string) =>
    built.find((object) => object.kind === kind && object.metadata?.name === 'quay-proxy')
  const pod = (one('Deployment') as V1Deployment).spec!.template.spec!
  const given = pod.containers[0]!.args!.map(
    (arg) => /^--([a-z-]+)=(.+)$/.exec(arg)!.slice(1) as [string, string],
  )
  return { built, one, pod, given, args: new Map(given) }
}

await t.test('every kustomization gives a Deployment that can start', async (test) => {
  for (const directory of ['', 'overlays/app.ci', 'overlays/kind']) {
    const { pod, given, args, one } = await builtOf(directory)
    test.equal(args.size, given.length, `${directory}: each flag once`)
    for (const [flag, value] of given) {
      test.ok(flags.has(flag), `${directory}: --${flag}`)
      if (!flag.endsWith('-file')) continue
      const mount = pod.containers[0]!.volumeMounts!.find(({ mountPath }) =>
        value.startsWith(`${mountPath}/`),
      )
      const volume = pod.volumes!.find(({ name }) => name === mount?.name)
      const key = value.slice(mount!.mountPath.length + 1)
      const keys = volume?.secret?.items?.map(({ path }) => path) ?? ['tls.crt', 'tls.key', 'service-ca.crt']
      test.ok(keys.includes(key), `${directory}: ${value}`)
    }
    const mounts = pod.containers[0]!.volumeMounts!.map(({ name }) => name)
    test.same(
      mounts.toSorted(),
      pod.volumes!.map(({ name }) => name).toSorted(),
      `${directory}: all are mounted`,
    )
    test.equal(pod.priorityClassName, one('PriorityClass')!.metadata!.name)
  }
})

await t.test(
  'X-Forwarded-For is believed behind the Route alone, never where TLS passes through',
  async (test) => {
    const behindRoute = await builtOf('')
    test.match(behindRoute.args.get('trusted-proxies'), /^10\./)
    test.notOk(behindRoute.args.has('proxy-protocol'))
    // Attack: behind a passthrough the field comes from the client itself, which would choose its address.
    for (const directory of ['overlays/app.ci', 'overlays/kind'])
      test.notOk((await builtOf(directory)).args.has('trusted-proxies'), directory)
    const component = await readFile(join(manifests, 'components/proxy-protocol/kustomization.yaml'), 'utf8')
    test.match(component, /value: --trusted-proxies=.*\n(?:.*\n){2}.*value: --proxy-protocol=true/)
  },
)

interface Ingress {
  readonly metadata: { readonly annotations: Readonly<Record<string, string>> }
  readonly spec: {
    readonly rules: readonly [
      {
        host: string
        http: { paths: readonly [{ backend: { service: { name: string; port: { name: string } } } }] }
      },
    ]
    readonly tls: readonly [{ hosts: readonly string[]; secretName: string }]
  }
}

await t.test(
  'overlays/app.ci takes the secrets, the way in and the number of replicas of qci-appci',
  async (test) => {
    const { one, pod, args: given } = await builtOf('overlays/app.ci')
    const secretOf = (name: string) => pod.volumes!.find((volume) => volume.name === name)!.secret
    test.match(secretOf('robot'), {
      secretName: 'qci-robot-credentials',
      items: [{ key: 'username' }, { key: 'password' }],
    })
    test.match(secretOf('token-secret'), { secretName: 'qci-appci-credentials', items: [{ key: 'token' }] })

    const { metadata, spec } = one('Ingress') as unknown as Ingress
    test.equal(metadata.annotations['route.openshift.io/termination'], 'passthrough')
    const [{ host, http }] = spec.rules
    test.equal(host, given.get('exposed-host'))
    test.same(http.paths[0].backend.service, { name: 'quay-proxy', port: { name: 'https' } })
    test.same(spec.tls, [{ hosts: [host], secretName: 'qci-appci-tls' }])
    test.equal(secretOf('tls')!.secretName, 'qci-appci-tls', 'the pod serves what cert-manager makes')
    test.notOk(one('Route'), 'one way in')
    const { annotations } = (one('Service') as unknown as V1Service).metadata!
    test.equal(annotations, undefined, 'the service CA writes into no secret of cert-manager')

    const scaler = one('HorizontalPodAutoscaler') as unknown as V2HorizontalPodAutoscaler
    test.match(scaler.spec, {
      minReplicas: 3,
      maxReplicas: 8,
      scaleTargetRef: { kind: 'Deployment', name: 'quay-proxy' },
    })
    test.match(scaler.spec.metrics, [{ resource: { name: 'cpu', target: { averageUtilization: 70 } } }])
    test.equal(
      (one('Deployment') as unknown as V1Deployment).spec!.replicas,
      undefined,
      'the autoscaler decides',
    )
    test.equal(
      Number(given.get('replicas')),
      scaler.spec.maxReplicas,
      'together never more than quay.io grants',
    )
    const mirror = new URL(given.get('mirror-url')!)
    const service = (await readManifests(join(manifests, 'mirror'))).find(({ kind }) => kind === 'Service')!
    test.equal(mirror.hostname, `${service.metadata!.name}.${service.metadata!.namespace}.svc`)
    test.equal(Number(mirror.port), (service as unknown as V1Service).spec!.ports![0]!.port)
    test.ok(given.has('shared-state'), 'replicas share the rates of quay.io, however many there are')
  },
)

await t.test('overlays/kind needs nothing of OpenShift', async (test) => {
  const { built } = await builtOf('overlays/kind')
  for (const { apiVersion, kind } of built) test.notMatch(apiVersion, /openshift|coreos/, String(kind))
  test.notMatch(JSON.stringify(built.map(({ metadata }) => metadata)), 'openshift')
})

interface MirrorSet {
  readonly spec: Readonly<
    Record<string, readonly { readonly source: string; readonly mirrors: readonly string[] }[]>
  >
}

await t.test('the mirror sets: the same for tags and for digests, in both forms', async (test) => {
  const sets = await readManifests(join(manifests, 'mirror-sets'))
  const mirrors = (kind: string, field: string, name: string) =>
    (sets.find((set) => set.kind === kind && set.metadata?.name === name) as unknown as MirrorSet).spec[
      field
    ]!.map(({ source, mirrors }) => [source, ...mirrors])
  const { built, args } = await builtOf('overlays/app.ci')
  const host = args.get('exposed-host')!
  for (const [kind, field] of [
    ['ImageDigestMirrorSet', 'imageDigestMirrors'],
    ['ImageTagMirrorSet', 'imageTagMirrors'],
  ] as const) {
    test.same(mirrors(kind, field, 'quay-proxy-monorepo'), [[`${host}/openshift/ci`, 'quay.io/openshift/ci']])
    test.same(mirrors(kind, field, 'quay-proxy-image-streams'), [['registry.ci.openshift.org', host]])
  }
  const own = [...(await builtOf('')).built, ...built]
  test.notOk(
    own.some(({ kind }) => kind?.endsWith('MirrorSet')),
    'applied to no cluster by the way',
  )
})

await t.test(
  'overlays/mirror-controller adds the watch of all ImageStreams, and the right to it',
  async (test) => {
    const [plain, watching] = await Promise.all(
      ['mirror', 'overlays/mirror-controller'].map(
        async (name) => (await accumulate(join(manifests, name))).objects,
      ),
    )
    const find = (objects: readonly KubernetesObject[] = [], kind: string) =>
      objects.find(
        (object) => object.kind === kind && object.metadata?.name === 'ci-images-mirror',
      ) as unknown
    const argsOf = (objects?: readonly KubernetesObject[]) =>
      (find(objects, 'Deployment') as V1Deployment).spec!.template.spec!.containers[0]!.args!
    test.strictSame(argsOf(watching), [...argsOf(plain), '--enable-controller=quay_io_ci_images_distributor'])
    const { notices, distributor } = parseMirrorArguments(argsOf(watching))
    test.strictSame(notices, [])
    test.ok(distributor?.releaseRepository)
    const verbsOf = (objects?: readonly KubernetesObject[]) =>
      (find(objects, 'ClusterRole') as V1ClusterRole).rules!.map(({ verbs }) => verbs)
    test.strictSame(verbsOf(plain), [['list']])
    test.strictSame(verbsOf(watching), [['list', 'watch']])
  },
)
