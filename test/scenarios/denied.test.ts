import { withoutTeam } from '../sandbox/app-ci/project-manifests.ts'
import { accept, scenario } from './scenario.ts'

const robotLogin = async ({
  ask,
  robot,
  remember,
}: Parameters<Parameters<typeof scenario>[1]>[1]): Promise<string> => {
  const basic = Buffer.from(`${robot.username}:${robot.password}`).toString('base64')
  const { body } = await ask('/v2/auth', { headers: { authorization: `Basic ${basic}` } })
  return remember((JSON.parse(body.toString()) as { token: string }).token)
}

await scenario('refused requests cost upstream nothing', async (t, s) => {
  const { stock, kubernetes, remember } = s
  // The robot, which has access, pulls an embargoed image from a restricted namespace: its manifests, configs and layers.
  const robotToken = await robotLogin(s)
  const embargoed = await s.ask('/v2/ocp-priv/4.5/manifests/embargoed', {
    token: robotToken,
    headers: { accept },
  })
  t.equal(embargoed.status, 200)
  const index = JSON.parse(embargoed.body.toString()) as { manifests: { digest: string }[] }
  const child = index.manifests[0]?.digest ?? ''
  const manifest = await s.ask(`/v2/openshift/ci/manifests/${child}`, {
    token: robotToken,
    headers: { accept },
  })
  const { layers } = JSON.parse(manifest.body.toString()) as { layers: { digest: string }[] }
  const layer =
    layers.map(({ digest }) => digest).find((digest) => !stock.sharedLayers.includes(digest as never)) ?? ''
  const topDigest = embargoed.headers.get('docker-content-digest') ?? ''

  const expired = remember(
    kubernetes.issueUserToken({ username: 'alice', groups: ['qci-image-pullers'], expiresInSeconds: 0 }),
  )
  const deleted = remember(kubernetes.issueUserToken({ username: 'alice', groups: ['qci-image-pullers'] }))
  kubernetes.revoke(deleted)
  const unbound = remember(kubernetes.issueServiceAccountToken({ namespace: 'my-team', name: 'default' }))
  const elsewhere = remember(
    kubernetes.issueServiceAccountToken({ namespace: 'my-team', name: 'image-puller', audiences: ['vault'] }),
  )
  const scoped = remember(
    kubernetes.issueUserToken({ username: 'alice', groups: ['qci-image-pullers'], scopes: ['user:info'] }),
  )
  const forged = remember(`${robotToken.split('.').slice(0, 2).join('.')}.${'A'.repeat(43)}`)
  const unsigned = remember(
    `${Buffer.from('{"alg":"none"}').toString('base64url')}.${robotToken.split('.')[1]}.`,
  )
  const open = '/v2/ocp/4.5/manifests/base'
  const rows = [
    ['no token', undefined, open, 401],
    ['an expired token', expired, open, 401],
    ['a deleted token', deleted, open, 401],
    ['garbage for a token', remember('garbage-garbage-garbage'), open, 401],
    ['trap 18: a token for another audience', elsewhere, '/v2/my-team/app/manifests/latest', 401],
    ['a forged robot token', forged, open, 401],
    ['an unsigned robot token', unsigned, open, 401],
    ['a token without access', s.mallory, open, 403],
    ['a service account without a binding', unbound, '/v2/my-team/app/manifests/latest', 403],
    ['trap 18: a token with a scope that does not reach', scoped, open, 403],
    ['another namespace than the bound one', s.puller, open, 403],
    ['the monorepo form of it', s.puller, '/v2/openshift/ci/manifests/ocp_4.5_base', 403],
    ['a tag that belongs to no namespace', s.puller, '/v2/openshift/ci/manifests/latest', 403],
    ['a restricted namespace, QCI-wide', s.alice, '/v2/ocp-priv/4.5/manifests/embargoed', 403],
    ['the monorepo form of it, QCI-wide', s.alice, '/v2/openshift/ci/manifests/ocp-priv_4.5_embargoed', 403],
    [
      'a prune tag of it',
      s.alice,
      '/v2/openshift/ci/manifests/20240603235401_prune_ocp-priv_4.5_embargoed',
      403,
    ],
    ['a digest learnt only there', s.alice, `/v2/openshift/ci/manifests/${topDigest}`, 403],
    ['the same under another repository', s.alice, `/v2/ocp/4.5/manifests/${topDigest}`, 403],
    [
      'a dated tag of that digest',
      s.alice,
      `/v2/openshift/ci/manifests/20240101_${topDigest.replace(':', '_')}`,
      403,
    ],
    ['its signature', s.alice, `/v2/openshift/ci/manifests/${topDigest.replace(':', '-')}.sig`, 403],
    ['a child manifest of it', s.alice, `/v2/openshift/ci/manifests/${child}`, 403],
    ['a layer of it', s.alice, `/v2/openshift/ci/blobs/${layer}`, 403],
    ['its referrers', s.alice, `/v2/openshift/ci/referrers/${topDigest}`, 403],
    [
      'a digest nobody has seen, without QCI-wide',
      s.puller,
      `/v2/openshift/ci/manifests/sha256:${'0'.repeat(64)}`,
      403,
    ],
    ['the tags of an image stream', s.mallory, '/v2/ocp/4.5/tags/list', 403],
  ] as const
  for (const [name, token, path, status] of rows)
    for (const method of path.includes('/tags/') ? ['GET'] : ['GET', 'HEAD']) {
      const before = s.upstreamRequests()
      const tags = stock.tags.filter(({ tag }) => tag.startsWith('ocp_4.5_')).map(({ tag }) => tag)
      const answer = await s.ask(path, {
        method,
        headers: { accept },
        ...(token === undefined ? {} : { token }),
      })
      t.equal(answer.status, status, `${method}: ${name}`)
      // The proxy reads the tags of the named image stream only for a requester who may pull from it, and sends nothing for others.
      const isOwn = (url: string) =>
        url.includes('/tags/list') ||
        tags.some((tag) => url.endsWith(`/manifests/${tag}`)) ||
        !url.includes(topDigest)
      const asked = s.quay.requests.slice(before).map(({ url }) => url)
      if (path.startsWith('/v2/ocp/4.5/') && token === s.alice) t.ok(asked.every(isOwn), `${method}: ${name}`)
      else t.same(asked, [], `${method}: upstream saw nothing of ${name}`)
      const challenge = answer.headers.get('www-authenticate')
      // trap 4, 5, 12: every 401 has the challenge, in one line, with error= only after an invalid credential.
      if (status === 401) {
        const error = token === undefined ? '' : ',error="invalid_token"'
        t.equal(challenge, `Bearer realm="${s.url}/v2/auth",service="${new URL(s.url).host}"${error}`)
      } else t.equal(challenge, null, 'no challenge on a refusal')
      if (method === 'GET') t.equal(answer.code, status === 401 ? 'UNAUTHORIZED' : 'DENIED')
      t.equal(answer.headers.get('content-type'), 'application/json')
    }
  t.equal(
    (await s.ask(`/v2/openshift/ci/blobs/${stock.sharedLayers[0]}`, { token: s.mallory })).status,
    403,
    'a layer shared with an open image, which does not open it to everybody',
  )
})

await scenario('a refusal names the user, the image, and the way to get access', async (t, s) => {
  const open = await s.ask('/v2/ocp/4.5/manifests/base', { token: s.puller })
  for (const part of [
    'system:serviceaccount:my-team:image-puller',
    'namespace ocp ',
    'a RoleBinding of system:image-puller',
  ])
    t.ok(open.message.includes(part), part)
  t.notOk(open.message.includes('qci-image-puller'), 'no group for a service account')
  const restricted = await s.ask('/v2/ocp-priv/4.5/manifests/embargoed', { token: s.alice })
  t.match(restricted.message, /^alice may not pull from namespace ocp-priv/)
  t.notOk(restricted.message.includes('qci-image-puller'), 'no way that does not lead there')
  t.notOk(open.body.toString().includes('"detail"'), 'trap 26: no detail')
})

await scenario('a layer of both a restricted and an open image is open', async (t, s) => {
  for (const [repository, tag] of [
    ['ocp-priv/4.5', 'embargoed'],
    ['ocp/4.5', 'base'],
  ] as const)
    await s.pull({ repository, reference: tag, username: s.robot.username, password: s.robot.password })
  const shared = `/v2/openshift/ci/blobs/${s.stock.sharedLayers[0]}`
  t.equal((await s.ask(shared, { token: s.alice })).status, 200)
  t.equal((await s.ask(shared, { token: s.puller })).status, 403, 'not to who may in neither')
})

await scenario(
  'a revoked binding takes effect when the cached yes expires',
  async (t, s) => {
    const path = '/v2/my-team/app/manifests/latest'
    t.equal((await s.ask(path, { token: s.puller, headers: { accept } })).status, 200)
    s.kubernetes.replaceObjects(withoutTeam)
    let status = 200
    // The timeout of the test bounds the wait.
    while (status === 200) {
      ;({ status } = await s.ask(path, { token: s.puller, headers: { accept } }))
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    t.equal(status, 403)
  },
  ['--allow-ttl=300ms'],
)

await scenario(
  'an image that was pulled by digest keeps its base layer, which a restricted image has as well',
  async (t, s) => {
    const { username, password } = s.robot
    await s.pull({ repository: 'ocp-priv/4.5', reference: 'embargoed', username, password })
    const base = s.stock.tags.find(({ tag }) => tag === 'ocp_4.5_base')?.digest ?? ''
    const shared = `/v2/openshift/ci/blobs/${s.stock.sharedLayers[0]}`
    t.equal((await s.ask(shared, { token: s.alice })).status, 403, 'known in the restricted image alone')
    const pulled = await s.pull({
      repository: 'openshift/ci',
      reference: base,
      username: 'alice',
      password: s.alice,
    })
    t.equal(pulled.digest, base)
    t.equal((await s.ask(shared, { token: s.puller })).status, 403, 'not to who is not QCI-wide')
    const restricted = s.stock.tags.find(({ tag }) => tag === 'ocp-priv_4.5_embargoed')?.digest ?? ''
    const embargoed = await s.ask(`/v2/openshift/ci/manifests/${restricted}`, {
      token: s.alice,
      headers: { accept },
    })
    t.equal(embargoed.status, 403, 'and what is restricted stays so')
  },
)
