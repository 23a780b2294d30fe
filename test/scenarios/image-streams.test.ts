import { dirname, join } from 'node:path'
import { parseConfig } from '../../src/config/config.ts'
import { createLogger } from '../../src/logging.ts'
import { startProxy } from '../../src/proxy.ts'
import { accept, scenario, type Scenario } from './scenario.ts'

const watch = ['--imagestreams=watch']

const digestOf = ({ stock }: Scenario, name: string): string =>
  stock.tags.find(({ tag }) => tag === name)?.digest ?? ''

const byDigest = async ({ ask }: Scenario, token: string, digest: string): Promise<number> =>
  (await ask(`/v2/openshift/ci/manifests/${digest}`, { token, headers: { accept } })).status

/** Until an event has come through: nobody announces that. */
const until = async (status: number, answer: () => Promise<number>): Promise<void> => {
  while ((await answer()) !== status) await new Promise((resolve) => setTimeout(resolve, 5))
}

await scenario(
  'a restricted digest that nobody has pulled is closed to QCI-wide, and so is what is in it',
  async (t, s) => {
    const { imageStreams } = s.kubernetes
    const digest = digestOf(s, 'ocp-priv_4.5_embargoed')
    t.equal(await byDigest(s, s.alice, digest), 200, 'nobody has seen it')
    imageStreams.put({ namespace: 'ocp-priv', name: '4.5', tags: { embargoed: [digest] } })
    await until(403, async () => await byDigest(s, s.alice, digest))
    const refused = await s.ask(`/v2/ocp/4.5/manifests/${digest}`, { token: s.alice })
    t.match(refused, { status: 403, code: 'DENIED' })
    t.equal((await s.ask(`/v2/openshift/ci/blobs/${digest}`, { token: s.alice })).status, 403)

    // Served by digest to who may: its children are where it is.
    const basic = Buffer.from(`${s.robot.username}:${s.robot.password}`).toString('base64')
    const authorized = { authorization: `Basic ${basic}`, accept }
    const served = await s.ask(`/v2/openshift/ci/manifests/${digest}`, { headers: authorized })
    t.equal(served.status, 200)
    const { manifests } = JSON.parse(served.body.toString()) as { manifests: { digest: string }[] }
    t.ok(manifests.length > 0)
    for (const child of manifests) t.equal(await byDigest(s, s.alice, child.digest), 403)
  },
  watch,
)

await scenario(
  "a namespace's puller needs no pull by tag, and a deleted stream is forgotten",
  async (t, s) => {
    const { imageStreams } = s.kubernetes
    const digest = digestOf(s, 'my-team_app_latest')
    t.equal(await byDigest(s, s.puller, digest), 403)
    imageStreams.put({ namespace: 'my-team', name: 'app', tags: { latest: [digest], old: ['no digest'] } })
    await until(200, async () => await byDigest(s, s.puller, digest))
    const pulled = await s.pull({
      repository: 'openshift/ci',
      reference: digest,
      username: 'puller',
      password: s.puller,
    })
    t.ok(pulled, 'every layer of it')
    const metrics = await s.metrics()
    t.match(metrics, 'quay_proxy_watched_digests 1\n')
    t.match(metrics, 'quay_proxy_watched_image_streams 1\n')

    const never = digestOf(s, 'ocp_4.15_base')
    imageStreams.put({ namespace: 'ocp-priv', name: 'gone', tags: { latest: [never] } })
    await until(403, async () => await byDigest(s, s.alice, never))
    imageStreams.put({ namespace: 'ocp-priv', name: 'gone', tags: { latest: [`sha256:${'0'.repeat(64)}`] } })
    await until(200, async () => await byDigest(s, s.alice, never))
    imageStreams.put({ namespace: 'ocp-priv', name: 'gone', tags: { latest: [never] } })
    await until(403, async () => await byDigest(s, s.alice, never))
    imageStreams.delete('ocp-priv', 'gone')
    await until(200, async () => await byDigest(s, s.alice, never))
  },
  watch,
)

await scenario(
  'cut and expired: the watch goes on without a gap, and pulls never notice',
  async (t, s) => {
    const { imageStreams } = s.kubernetes
    const digest = digestOf(s, 'ocp_4.15_base')
    const namespaces = ['a-priv', 'b-priv', 'c-priv', 'd-priv']
    const pulls: Promise<unknown>[] = []
    for (const [number, namespace] of namespaces.entries()) {
      pulls.push(s.pull({ repository: 'ocp/4.5', reference: 'base', username: 'alice', password: s.alice }))
      const other = `sha256:${String(number).repeat(64)}`
      imageStreams.put({ namespace, name: 'x', tags: { latest: [digest, other] } })
      await until(403, async () => await byDigest(s, s.alice, digest))
      imageStreams.cut(number % 2 === 0 ? 'cleanly' : 'mid-line')
      imageStreams.delete(namespace, 'x')
      if (number > 1) imageStreams.expire(number === 2 ? 'event' : 'status')
      await until(200, async () => await byDigest(s, s.alice, digest))
    }
    await Promise.all(pulls)
    t.equal(imageStreams.requests.pages, 3, 'a list for the start and for each 410')
    t.match(await s.metrics(), 'quay_proxy_image_streams_restarts_total{reason="expired"} 2')
  },
  watch,
)

await scenario(
  'two replicas agree, though no pull went through one of them; not listed is not ready',
  async (t, s) => {
    const { imageStreams } = s.kubernetes
    const digest = digestOf(s, 'ocp-priv_4.5_embargoed')
    const file = (name: string) => join(dirname(s.files.password), name)
    const args = [
      '--listen-addr=127.0.0.1:0',
      `--robot-username-file=${file('username')}`,
      `--robot-password-file=${s.files.password}`,
      `--token-secret-file=${s.files.tokenSecret}`,
      `--kubeconfig=${file('kubeconfig')}`,
      `--upstream=${s.quay.url}`,
      `--upstream-repository=${s.quay.repository}`,
      '--grace-period=0s',
      ...watch,
    ]
    imageStreams.put({ namespace: 'ocp-priv', name: '4.5', tags: { embargoed: [digest] } })
    await until(403, async () => await byDigest(s, s.alice, digest))
    s.kubernetes.fault({ kind: 'slow', delayMs: 300 })
    const second = await startProxy(parseConfig(args, {}), createLogger('silent', { write: () => undefined }))
    try {
      const early = await fetch(`${second.url}/readyz`)
      t.equal(early.status, 503)
      t.match(await early.text(), 'the ImageStreams of app.ci are not listed yet')
      s.kubernetes.fault({ kind: 'none' })
      await until(200, async () => (await fetch(`${second.url}/readyz`)).status)
      const headers = { authorization: `Bearer ${s.alice}`, accept }
      const ask = async () =>
        (await fetch(`${second.url}/v2/openshift/ci/manifests/${digest}`, { headers })).status
      t.equal(await ask(), 403, 'as soon as it is ready')
      imageStreams.delete('ocp-priv', '4.5')
      await Promise.all([until(200, ask), until(200, async () => await byDigest(s, s.alice, digest))])
    } finally {
      await second.stop()
    }
  },
  watch,
)
