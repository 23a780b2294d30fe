/**
 * `--allow-anonymous`: a client without a login may pull what RBAC grants to system:unauthenticated. Logins keep their rights.
 */
import type { KubernetesObject } from '../../src/sandbox/app-ci/rbac.ts'
import { readManifests } from '../../src/sandbox/app-ci/rbac.ts'
import { accept, manifests, scenario, type Scenario } from './scenario.ts'

/** The owner of a namespace applies this to open it to everybody. */
const openToEverybody: KubernetesObject = {
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'RoleBinding',
  metadata: { name: 'everybody-may-pull', namespace: 'my-team' },
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'system:image-puller' },
  subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: 'system:unauthenticated' }],
}
const open = async ({ kubernetes }: Scenario) => {
  const objects = (await Promise.all(manifests.map(readManifests))).flat()
  kubernetes.replaceObjects([...objects, openToEverybody])
}

const basic = (userInfo: string) => `Basic ${Buffer.from(userInfo).toString('base64')}`
const tokenOf = ({ body }: { body: Buffer }) =>
  JSON.parse(body.toString()) as { token: string; access_token: string; expires_in: number }
interface Descriptor {
  readonly digest: string
}
const parse = ({ body }: { body: Buffer }) =>
  JSON.parse(body.toString()) as { manifests: Descriptor[]; config: Descriptor; layers: Descriptor[] }
const nothing = { headers: { accept } }
const opened = '/v2/my-team/app/manifests/latest'
const closed = '/v2/ocp/4.5/manifests/base'
const challengeOf = ({ url }: Scenario) => `Bearer realm="${url}/v2/auth",service="${new URL(url).host}"`

await scenario(
  'a client without a login: ping, challenge, an anonymous token, and an image that is open to everybody',
  async (t, s) => {
    await open(s)
    for (const path of ['/v2/', '/v2']) {
      const ping = await s.ask(path)
      t.equal(ping.status, 401, 'trap 14: where to log in is still to be learnt')
      t.equal(ping.headers.get('www-authenticate'), challengeOf(s))
    }
    const answer = await s.ask('/v2/auth?service=x&scope=repository:my-team/app:pull')
    t.equal(answer.status, 200)
    const { token, access_token: same, expires_in: life } = tokenOf(answer)
    s.remember(token)
    t.equal(same, token)
    t.equal(life, 300)
    t.equal((await s.ask('/v2/', { token })).status, 200)
    const get = async (kind: string, name: string) =>
      await s.ask(`/v2/my-team/app/${kind}/${name}`, { ...nothing, token })
    const index = parse(await get('manifests', 'latest'))
    for (const { digest } of index.manifests) {
      const { config, layers } = parse(await get('manifests', digest))
      for (const blob of [config, ...layers]) t.equal((await get('blobs', blob.digest)).status, 200)
    }
    t.equal(s.kubernetes.requests.tokenReviews, 0, 'the cluster is not shown a token of ours')
    t.match(s.kubernetes.reviews.at(-1), { user: 'system:anonymous', groups: ['system:unauthenticated'] })
    t.ok(s.lines().some(({ identity, status }) => identity === 'system:anonymous' && status === 200))
  },
  ['--allow-anonymous'],
)

await scenario(
  'a request without a credential: decided as anonymous, refused with the login command, never 403',
  async (t, s) => {
    await open(s)
    const token = s.remember(tokenOf(await s.ask('/v2/auth')).token)
    for (const method of ['GET', 'HEAD'])
      t.equal((await s.ask(opened, { ...nothing, method })).status, 200, 'as containerd, which does not ping')
    const paths = [
      closed,
      '/v2/openshift/ci/manifests/ocp_4.5_base',
      '/v2/openshift/ci/manifests/latest',
      '/v2/ocp-priv/4.5/manifests/embargoed',
      `/v2/openshift/ci/blobs/${s.stock.sharedLayers[0]}`,
      `/v2/openshift/ci/referrers/${s.stock.sharedLayers[0]}`,
      '/v2/ocp/4.5/tags/list',
    ]
    for (const path of paths)
      for (const shown of [{}, { token }])
        for (const method of ['GET', 'HEAD']) {
          const before = s.upstreamRequests()
          const answer = await s.ask(path, { ...nothing, ...shown, method })
          const name = `${method} ${path} ${Object.keys(shown).join()}`
          t.equal(answer.status, 401, name)
          t.equal(answer.headers.get('www-authenticate'), challengeOf(s), name)
          if (method === 'GET') t.match(answer.message, /log in first: podman login/, name)
          t.equal(s.upstreamRequests(), before, 'upstream saw nothing of it')
        }
    const list = async (shown: { token?: string }) => await s.ask('/v2/openshift/ci/tags/list?n=1000', shown)
    t.equal((await list({})).status, 401, 'a part of the list would be taken for all of it')
    const { tags } = JSON.parse((await list({ token })).body.toString()) as { tags: string[] }
    t.strictSame(tags, ['my-team_app_latest'], 'the list is what its requester may pull')
  },
  ['--allow-anonymous=true'],
)

await scenario(
  'clients with a login use it as before, robots too',
  async (t, s) => {
    await open(s)
    const { username, password } = s.robot
    for (const login of [`alice:${s.alice}`, `${username}:${password}`]) {
      const first = await s.ask(closed, nothing)
      t.equal(first.headers.get('www-authenticate'), challengeOf(s), 'which leads a client to its credential')
      const answer = await s.ask('/v2/auth?service=x', { headers: { authorization: basic(login) } })
      const token = s.remember(tokenOf(answer).token)
      t.equal((await s.ask(closed, { ...nothing, token })).status, 200)
    }
    const denied = await s.ask(closed, { ...nothing, token: s.mallory })
    t.equal(denied.status, 403, 'of somebody who is known it is a refusal')
    t.match(denied.message, /^mallory may not pull/)
    for (const authorization of [
      basic('x:sha256~wrong'),
      'Bearer sha256~wrong',
      'Digest x',
      basic('nocolon'),
    ]) {
      t.equal(
        (await s.ask(opened, { headers: { accept, authorization } })).status,
        401,
        'wrong is not nothing',
      )
      t.equal((await s.ask('/v2/auth', { headers: { authorization } })).status, 401)
    }
  },
  ['--allow-anonymous'],
)

await scenario('without the flag a request without a login is refused', async (t, s) => {
  await open(s)
  const before = s.kubernetes.requests.subjectAccessReviews
  for (const path of ['/v2/', '/v2/auth', opened, closed, '/v2/my-team/app/tags/list']) {
    const answer = await s.ask(path, nothing)
    t.equal(answer.status, 401, path)
    t.equal(answer.headers.get('www-authenticate'), challengeOf(s))
  }
  t.equal(s.kubernetes.requests.subjectAccessReviews, before, 'nobody is asked about nobody')
})
