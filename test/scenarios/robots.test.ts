/**
 * `--logins=robots`: the cache of a build farm. It has no cluster: nodes log in as the robot, and no other login is accepted.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { flagsOf } from './another-replica.ts'
import { parseConfig } from '../../src/config/config.ts'
import { startProxy } from '../../src/proxy/start.ts'
import { buildImage } from '../../src/sandbox/quay/images.ts'
import { createLogger } from '../../src/telemetry/logging.ts'
import { accept, scenario } from './scenario.ts'

await scenario(
  'the cache of a farm: the robot pulls everything, every other login is refused, and no cluster is contacted',
  async (t, s) => {
    const small = { platforms: ['linux/amd64'], layers: 1, layerBytes: 1000, format: 'oci' } as const
    s.quay.tag('ocp_4.5_base', await buildImage({ ...small, name: 'base' }))
    s.quay.tag('ocp-priv_4.5_base', await buildImage({ ...small, name: 'restricted' }))
    const directory = mkdtempSync(join(tmpdir(), 'quay-proxy-cache-'))
    t.teardown(() => rmSync(directory, { recursive: true, force: true }))
    const flags = flagsOf(s).filter((flag) => !flag.startsWith('--kubeconfig'))
    const reviewsBefore = s.kubernetes.requests.tokenReviews
    const proxy = await startProxy(
      parseConfig([...flags, '--grace-period=0s', '--logins=robots', `--cache-dir=${directory}`], {}),
      createLogger('silent', { write: () => undefined }),
    )
    t.teardown(proxy.stop)
    const get = async (path: string, authorization?: string) =>
      await fetch(`${proxy.url}${path}`, {
        headers: { accept, ...(authorization === undefined ? {} : { authorization }) },
      })
    while ((await get('/readyz')).status !== 200) await new Promise((resolve) => setTimeout(resolve, 10))
    const basic = (user: string, password: string) =>
      `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
    const robot = basic(s.robot.username, s.robot.password)
    for (const tag of ['ocp_4.5_base', 'ocp-priv_4.5_base'])
      t.equal((await get(`/v2/openshift/ci/manifests/${tag}`, robot)).status, 200, tag)
    t.equal((await get('/v2/ocp/4.5/manifests/base', robot)).status, 200, 'the image stream form')
    const realm = await get('/v2/auth?service=x&scope=repository:openshift/ci:pull', robot)
    const { token } = (await realm.json()) as { token: string }
    t.equal((await get('/v2/openshift/ci/manifests/ocp_4.5_base', `Bearer ${token}`)).status, 200)
    for (const shown of [
      `Bearer ${s.alice}`,
      basic('alice', s.alice),
      basic('unused', s.puller),
      basic(s.robot.username, 'wrong'),
      undefined,
    ]) {
      const refused = await get('/v2/openshift/ci/manifests/ocp_4.5_base', shown)
      t.equal(refused.status, 401)
      t.match(await refused.text(), 'UNAUTHORIZED')
    }
    const told = await (await get('/v2/', `Bearer ${s.alice}`)).text()
    t.match(told, 'this proxy accepts robots only: log in to ')
    t.equal(s.kubernetes.requests.tokenReviews, reviewsBefore, 'no token reached the cluster')

    // Attack: guess passwords under another user name than that of the robot.
    const guesses = await Promise.all(
      Array.from({ length: 60 }, async (_, number) => await get('/v2/', basic('guest', `guess-${number}`))),
    )
    const statuses = new Set(guesses.map(({ status }) => status))
    t.strictSame(
      [...statuses].toSorted((one, other) => one - other),
      [401, 429],
    )
    t.equal((await get('/v2/', robot)).status, 200, 'the robot is never limited')
  },
)
