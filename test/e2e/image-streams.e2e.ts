/**
 * ImageStreams of a real API server, by a CRD with their name: tags that are added or deleted during pulls take effect at the next pull.
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { test, type Test } from 'tap'
import { seedQuay } from '../../src/sandbox/quay/content.ts'
import { pull, PullError } from '../../src/sandbox/pull.ts'
import { buildImage } from '../../src/sandbox/quay/images.ts'
import { startQuay } from '../../src/sandbox/quay/quay.ts'
import type { KubernetesObject } from '../../src/sandbox/app-ci/rbac.ts'
import { missingApiServer, startApiServer } from './api-server.ts'
import { definition } from './image-stream-definition.ts'
import { serviceAccount } from './stack.ts'
import { startWatchingProxy } from './watching-proxy.ts'

const skip = missingApiServer()

const imageStream = (namespace: string, name: string, ...images: string[]): KubernetesObject => ({
  apiVersion: 'image.openshift.io/v1',
  kind: 'ImageStream',
  metadata: { namespace, name },
  status: { tags: [{ tag: 'latest', items: images.map((image) => ({ image })) }] },
})

await test('ImageStreams of a real API server', { skip }, async (suite) => {
  const api = await startApiServer([{ username: 'alice', groups: ['qci-image-pullers'] }])
  suite.teardown(api.close)
  await api.apply(definition)
  // The API server serves a definition a moment after it accepts it.
  const create = async (object: KubernetesObject) => {
    for (let attempt = 0; attempt < 100; attempt++)
      try {
        return await api.apply(object)
      } catch (error) {
        if (attempt === 99) throw error
        await sleep(100)
      }
  }
  const robot = { username: 'openshift+ci_reader', password: randomBytes(32).toString('hex') }
  const quay = await startQuay({ robot })
  suite.teardown(() => quay.close())
  const stock = await seedQuay(quay)
  const digestOf = (name: string) => stock.tags.find(({ tag }) => tag === name)?.digest ?? ''
  const push = async (tag: string): Promise<string> => {
    const platforms = ['linux/amd64', 'linux/arm64'] as const
    const image = await buildImage({ name: tag, platforms, layers: 1, layerBytes: 1024, format: 'oci' })
    quay.tag(tag, image)
    return image.digest
  }
  const embargoed = digestOf('ocp-priv_4.5_embargoed')
  const app = digestOf('my-team_app_latest')
  await create(imageStream('ocp-priv', '4.5', embargoed))
  const startProxy = async () =>
    await startWatchingProxy(suite, {
      kubeconfig: await api.kubeconfig(),
      upstream: quay,
      robot,
      gracePeriod: '2s',
      probe: '/readyz',
    })
  const proxies = [await startProxy(), await startProxy()]
  const alice = api.userToken('alice')
  const puller = await api.createToken(serviceAccount)

  const pullAs = async (password: string, reference: string, registry: string): Promise<number> => {
    try {
      await pull({ registry, repository: 'openshift/ci', reference, username: 'user', password })
      return 200
    } catch (error) {
      if (error instanceof PullError) return error.status
      throw error
    }
  }
  /** Every replica gives the same answer. */
  const become = async (t: Test, status: number, token: string, digest: string, what: string) => {
    for (const { url } of proxies) {
      const began = performance.now()
      let now = await pullAs(token, digest, url)
      while (now !== status && performance.now() - began < 10_000) {
        await sleep(10)
        now = await pullAs(token, digest, url)
      }
      t.equal(now, status, what)
      t.comment(`${what}: ${Math.round(performance.now() - began)} ms`)
    }
  }

  await suite.test('a replica has all earlier facts when it becomes ready', async (t) => {
    for (const { url } of proxies) {
      t.equal(await pullAs(alice, embargoed, url), 403)
      t.equal(await pullAs(puller, app, url), 403)
    }
  })

  await suite.test('added, changed and deleted while pulls run', async (t) => {
    const ending = new AbortController()
    let pulls = 0
    const running = (async () => {
      for (; !ending.signal.aborted; pulls++)
        t.equal(await pullAs(alice, 'ocp_4.5_base', proxies[pulls % 2]!.url), 200)
    })()
    const open = digestOf('ocp_4.15_base')
    await create(imageStream('my-team', 'app', app))
    await become(t, 200, puller, app, 'added: the tag is resolved for the puller of its namespace')
    await create(imageStream('ocp-priv', 'x', open))
    await become(t, 200, alice, open, 'claimed by a restricted namespace that does not hold it: QCI-wide')
    await create(imageStream('my-team', 'stolen', embargoed))
    await become(t, 403, puller, embargoed, 'claimed by a namespace that does not hold it: its puller')
    await become(t, 403, alice, embargoed, 'the same: QCI-wide')
    const fresh = await push('ocp-priv_fresh_latest')
    await create(imageStream('ocp-priv', 'fresh', fresh))
    await become(t, 403, alice, fresh, 'pushed to a restricted namespace: QCI-wide')
    await api.remove(imageStream('ocp-priv', '4.5'))
    await become(t, 403, alice, embargoed, 'named no more: QCI-wide')
    ending.abort()
    await running
    t.ok(pulls > 0, `${pulls} pulls`)
  })

  await suite.test('the API server is unavailable for a while: the watch resumes', async (t) => {
    const late = await push('my-team_late_latest')
    await api.freeze()
    await sleep(1000)
    api.thaw()
    await create(imageStream('my-team', 'late', late))
    await become(t, 200, puller, late, 'added after that: the puller of its namespace')
  })

  await suite.test('both end cleanly', async (t) => {
    for (const { service } of proxies) t.equal(await service.stop(), 0)
  })
})
