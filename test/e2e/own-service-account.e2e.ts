/**
 * The proxy and the mirror as their own service accounts, on a real API server: each has the rights that its manifests give and no others, and
 * needs every one of them.
 */
import { AuthorizationV1Api, KubeConfig, type V1PolicyRule } from '@kubernetes/client-node'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { test, type Test } from 'tap'
import { systemClock } from '../../src/concurrency/clock.ts'
import { readStreams } from '../../src/mirror/app-ci/stream-lists.ts'
import { Distributor, type DistributorEvent } from '../../src/mirror/distributor/distributor.ts'
import { createKubernetesLease } from '../../src/mirror/lease/kubernetes-lease.ts'
import { externalImages } from '../../src/mirror/plan/desired-source.ts'
import { readManifests } from '../../src/sandbox/app-ci/rbac.ts'
import { pull, PullError } from '../../src/sandbox/pull.ts'
import { seedQuay } from '../../src/sandbox/quay/content.ts'
import { startQuay, type Quay } from '../../src/sandbox/quay/quay.ts'
import { accumulate } from '../project/kustomize.ts'
import { missingApiServer, proxyAccount, startApiServer, type Account, type ApiServer } from './api-server.ts'
import { definition } from './image-stream-definition.ts'
import { answers } from './process.ts'
import { root } from './stack.ts'
import { startWatchingProxy } from './watching-proxy.ts'

const skip = missingApiServer()

/** One verb of one resource: `create tokenreviews.authentication.k8s.io`, with `/NAME` where a rule names the object. */
type Right = string

const rightsOf = (rules: readonly V1PolicyRule[]): readonly Right[] =>
  rules
    .flatMap(({ verbs, apiGroups = [], resources = [], resourceNames = [''] }) =>
      verbs.flatMap((verb) =>
        apiGroups.flatMap((group) =>
          resources.flatMap((resource) =>
            resourceNames.map((name) => `${verb} ${resource}.${group}${name === '' ? '' : `/${name}`}`),
          ),
        ),
      ),
    )
    .toSorted()

const ruleOf = (right: Right): V1PolicyRule => {
  const [, verb = '', resource = '', apiGroup = '', name] =
    /^(\S+) ([^.]+)\.([^/]+)(?:\/(.*))?$/.exec(right) ?? []
  return {
    verbs: [verb],
    resources: [resource],
    apiGroups: [apiGroup],
    ...(name === undefined ? {} : { resourceNames: [name] }),
  }
}

const kubeConfigOf = async (api: ApiServer, account: Account): Promise<KubeConfig> => {
  const kubeConfig = new KubeConfig()
  kubeConfig.loadFromString(await api.kubeconfig(account))
  return kubeConfig
}

/** By a SelfSubjectRulesReview, without what every service account has. */
const ownRights = async (api: ApiServer, account: Account, namespace: string): Promise<readonly Right[]> => {
  const review = async (of: Account): Promise<readonly Right[]> => {
    const client = (await kubeConfigOf(api, of)).makeApiClient(AuthorizationV1Api)
    const { status } = await client.createSelfSubjectRulesReview({ body: { spec: { namespace } } })
    if (status === undefined || status.incomplete) throw new Error('the rules are not all there')
    return rightsOf(status.resourceRules)
  }
  const everybody = new Set(await review(bystander))
  return (await review(account)).filter((right) => !everybody.has(right))
}

/** @throws {Error} after half a minute */
const until = async <Value>(what: string, read: () => Promise<Value | undefined | false>): Promise<Value> => {
  for (let attempt = 0; attempt < 600; attempt++) {
    const value = await read()
    if (value !== undefined && value !== false) return value
    await sleep(50)
  }
  throw new Error(`not within half a minute: ${what}`)
}

/** The API server learns of a binding by a watch, a moment later. */
const inForce = async (api: ApiServer, account: Account, count: number): Promise<unknown> =>
  await until(
    `the rights of ${account.name}`,
    async () => (await ownRights(api, account, 'ci')).length === count,
  )

const bystander: Account = { namespace: 'ci', name: 'bystander' }
const mirrorAccount: Account = { namespace: 'ci', name: 'ci-images-mirror' }
const mirrorRights = {
  all: ['list imagestreams.image.openshift.io'],
  ci: [
    'create leases.coordination.k8s.io',
    'get leases.coordination.k8s.io/ci-image-mirror',
    'update leases.coordination.k8s.io/ci-image-mirror',
  ],
}
const apiGroup = 'rbac.authorization.k8s.io'

/** A service account with these rights, and its roles. In `ci`, or everywhere. */
const accountWith = async (
  api: ApiServer,
  name: string,
  rights: { all?: readonly Right[]; ci?: readonly Right[] },
) => {
  const account = { namespace: 'ci', name }
  await api.apply({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: account })
  const subjects = [{ kind: 'ServiceAccount', ...account }]
  const bind = async (role: string, metadata: object, granted: readonly Right[]) => {
    const apiVersion = `${apiGroup}/v1`
    await api.apply({ apiVersion, kind: role, metadata, rules: granted.map(ruleOf) })
    const roleRef = { apiGroup, kind: role, name }
    await api.apply({ apiVersion, kind: `${role}Binding`, metadata, roleRef, subjects })
  }
  if (rights.all !== undefined) await bind('ClusterRole', { name }, rights.all)
  if (rights.ci !== undefined) await bind('Role', account, rights.ci)
  await inForce(api, account, (rights.all?.length ?? 0) + (rights.ci?.length ?? 0))
  return account
}

interface Proxy {
  readonly url: string
  readonly log: () => string
}

const startProxy = async (t: Test, api: ApiServer, upstream: Quay, account: Account): Promise<Proxy> => {
  const { url, service } = await startWatchingProxy(t, {
    kubeconfig: await api.kubeconfig(account),
    upstream,
    robot,
    gracePeriod: '0s',
    probe: '/healthz',
    patience: 90_000,
  })
  return { url, log: service.output }
}

const robot = { username: 'openshift+ci_reader', password: randomBytes(32).toString('hex') }

await test('programs as their own service accounts', { skip }, async (suite) => {
  const api = await startApiServer([{ username: 'alice', groups: ['qci-image-pullers'] }])
  suite.teardown(api.close)
  await api.apply(definition)
  for (const object of await readManifests(join(root, 'manifests/mirror')))
    if (object.kind === 'ServiceAccount' || object.apiVersion?.startsWith(apiGroup) === true)
      await api.apply(object)
  await api.apply({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { ...bystander } })
  await inForce(api, mirrorAccount, mirrorRights.all.length + mirrorRights.ci.length)
  const quay = await startQuay({ robot })
  suite.teardown(() => quay.close())
  await seedQuay(quay)

  const pullBy = async ({ url }: Proxy): Promise<{ status: number; message: string }> => {
    const login = { username: 'alice', password: api.userToken('alice') }
    try {
      await pull({ registry: url, repository: 'ocp/4.5', reference: 'base', ...login })
      return { status: 200, message: '' }
    } catch (error) {
      if (!(error instanceof PullError)) throw error
      return { status: error.status, message: error.message }
    }
  }
  const logged = async ({ log }: Proxy, ...words: string[]): Promise<string> =>
    await until(words.join(), async () =>
      log()
        .split('\n')
        .find((line) => words.every((word) => line.includes(word))),
    )

  const proxyRights = [
    'create subjectaccessreviews.authorization.k8s.io',
    'create tokenreviews.authentication.k8s.io',
    'list imagestreams.image.openshift.io',
    'watch imagestreams.image.openshift.io',
  ]
  await suite.test(
    'the proxy has the rights of its manifests, everywhere alike, and no others',
    async (t) => {
      for (const namespace of ['ci', 'ocp', 'ocp-priv'])
        t.same(await ownRights(api, proxyAccount, namespace), proxyRights, namespace)
    },
  )

  await suite.test('the proxy serves with them', async (t) => {
    const proxy = await startProxy(t, api, quay, proxyAccount)
    await until('ready', async () => await answers(`${proxy.url}/readyz`, 200))
    t.equal((await pullBy(proxy)).status, 200)
    t.notMatch(proxy.log(), 'forbidden')
  })

  /** The right that is missing, and how that shows. */
  const proxiesWithout: Readonly<Record<Right, (t: Test, proxy: Proxy, user: string) => Promise<void>>> = {
    'create tokenreviews.authentication.k8s.io': async (t, proxy, user) => {
      t.match(await pullBy(proxy), { status: 503, message: 'refuses the proxy itself' })
      await logged(
        proxy,
        'tokenreviews.authentication.k8s.io is forbidden',
        user,
        'apply manifests/rbac/quay-proxy.yaml',
      )
    },
    'create subjectaccessreviews.authorization.k8s.io': async (t, proxy, user) => {
      t.match(await pullBy(proxy), { status: 503, message: 'refuses the proxy itself' })
      await logged(
        proxy,
        'subjectaccessreviews.authorization.k8s.io is forbidden',
        user,
        'apply manifests/rbac/quay-proxy.yaml',
      )
    },
    'list imagestreams.image.openshift.io': async (t, proxy, user) => {
      await logged(proxy, 'ImageStream list/watch failed', 'cannot list resource', user)
      t.match(
        await (await fetch(`${proxy.url}/readyz`)).text(),
        'the ImageStreams of app.ci are not listed yet',
      )
    },
    'watch imagestreams.image.openshift.io': async (t, proxy) => {
      t.match(await logged(proxy, 'ImageStream list/watch failed', 'Forbidden'), '"failure":"watch"')
    },
  }
  await suite.test('the proxy needs each of them', async (t) => {
    t.same(Object.keys(proxiesWithout).toSorted(), proxyRights)
    const names = proxyRights.map((_, index) => `proxy-${index}`)
    const proxies = await Promise.all(
      proxyRights.map(async (missing, index) => {
        const all = proxyRights.filter((right) => right !== missing)
        return await startProxy(t, api, quay, await accountWith(api, names[index]!, { all }))
      }),
    )
    for (const [index, missing] of proxyRights.entries())
      await t.test(`without ${missing}`, async (part) => {
        await proxiesWithout[missing]!(part, proxies[index]!, `system:serviceaccount:ci:${names[index]}`)
      })
  })

  /** What the mirror does on app.ci: takes its lease, renews it, reads ImageStreams. */
  const mirrorOf = async (account: Account) => {
    const kubeConfig = await kubeConfigOf(api, account)
    const lease = createKubernetesLease({ kubeConfig, namespace: 'ci', name: 'ci-image-mirror' })
    const record = { holder: account.name, durationSeconds: 15, acquiredAt: 0, renewedAt: 0, transitions: 0 }
    return {
      create: async () => await lease.write({ ...record, version: undefined }),
      read: async () => await lease.read(),
      renew: async (version: string) => await lease.write({ ...record, version }),
      list: async () => await readStreams(kubeConfig, [{ namespace: 'ocp' }], AbortSignal.timeout(10_000)),
    }
  }
  await suite.test(
    'the mirror has the rights of its manifests and no others, and works with them',
    async (t) => {
      t.same(await ownRights(api, mirrorAccount, 'ci'), [...mirrorRights.ci, ...mirrorRights.all].toSorted())
      t.same(await ownRights(api, mirrorAccount, 'ocp'), mirrorRights.all)
      const mirror = await mirrorOf(mirrorAccount)
      t.equal(await mirror.create(), true)
      const { version = '' } = (await mirror.read()) ?? {}
      t.equal(await mirror.renew(version), true)
      t.equal((await mirror.list()).size, 0)
    },
  )

  await suite.test('the mirror needs each of them', async (t) => {
    const forbidden = { message: /\b403\b|forbidden/i }
    const without = async (missing: Right) => {
      const rest = (rights: readonly Right[]) => rights.filter((right) => right !== missing)
      const name = `mirror-${missing.slice(0, missing.indexOf(' '))}`
      return await mirrorOf(
        await accountWith(api, name, { all: rest(mirrorRights.all), ci: rest(mirrorRights.ci) }),
      )
    }
    const { version = '' } = (await (await mirrorOf(mirrorAccount)).read()) ?? {}
    await t.rejects((await without('create leases.coordination.k8s.io')).create(), forbidden)
    await t.rejects((await without('get leases.coordination.k8s.io/ci-image-mirror')).read(), forbidden)
    await t.rejects(
      (await without('update leases.coordination.k8s.io/ci-image-mirror')).renew(version),
      forbidden,
    )
    await t.rejects((await without('list imagestreams.image.openshift.io')).list(), forbidden)
  })

  await suite.test('the watch of all ImageStreams needs its overlay, and works with it', async (t) => {
    const watchBy = async (account: Account) => {
      const events: DistributorEvent[] = []
      const changes: string[] = []
      const distributor = new Distributor({
        base: externalImages,
        kubeConfig: await kubeConfigOf(api, account),
        options: {
          additionalTags: new Set(),
          additionalStreams: new Set(['my-team/app']),
          additionalNamespaces: new Set(),
          ignoredTags: new Set(),
          onlyValidManifests: true,
          releaseRepository: undefined,
        },
        clock: systemClock,
        observe: (event) => events.push(event),
      })
      t.teardown(async () => await distributor.close())
      await distributor.start((targets) => changes.push(...targets))
      return { events, changes }
    }
    const plain = await watchBy(mirrorAccount)
    await until('a refusal', async () => plain.events.some(({ what }) => what === 'watch failed'))
    t.match(plain.events, [
      { what: 'listed' },
      { what: 'watch failed', failure: 'watch', error: /Forbidden/ },
    ])
    const { objects } = await accumulate(join(root, 'manifests/overlays/mirror-controller'))
    for (const object of objects.filter(({ kind }) => kind === 'ClusterRole')) await api.apply(object)
    await inForce(api, mirrorAccount, 5)
    const { events, changes } = await watchBy(mirrorAccount)
    await until('a list', async () => events.some(({ what }) => what === 'listed'))
    const tagged = async (image: string) => {
      const metadata = { namespace: 'my-team', name: 'app' }
      const status = { tags: [{ tag: 'latest', items: [{ image: `sha256:${image.repeat(64)}` }] }] }
      await api.apply({ apiVersion: 'image.openshift.io/v1', kind: 'ImageStream', metadata, status })
    }
    for (const [index, image] of ['a', 'b'].entries()) {
      await tagged(image)
      await until(`change ${index}`, async () => changes.length === index + 1)
    }
    t.strictSame(changes, ['my-team/app:latest', 'my-team/app:latest'])
    t.strictSame(
      events.map(({ what }) => what),
      ['listed'],
    )
  })
})
