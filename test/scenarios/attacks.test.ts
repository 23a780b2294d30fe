/**
 * Attacks, each described beside its test. denied.test.ts has plain refusals; here the requester tries to get around them.
 */
import { generateKeyPairSync } from 'node:crypto'
import * as crypto from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { mock } from 'node:test'
import { decodeJwt, jwtVerify, SignJWT, UnsecuredJWT, type JWTPayload } from 'jose'
import tap, { type Test } from 'tap'
import type * as authentication from '../../src/registry/authentication/authentication.ts'
import { parseAuthorization } from '../../src/registry/authentication/credential.ts'
import { readManifests, type KubernetesObject } from '../../src/sandbox/app-ci/rbac.ts'
import { challenge } from '../registry/fakes.ts'
import { hashOf, loginKeyOf, purposeKeyOf } from '../registry/keys.ts'
import { accept, manifests, scenario, type Scenario } from './scenario.ts'
import { createLoginAdvice } from '../../src/registry/authentication/login-advice.ts'

const advice = createLoginAdvice({ host: 'proxy.example' })

const open = '/v2/ocp/4.5/manifests/base'
const embargoed = '/v2/ocp-priv/4.5/manifests/embargoed'
const basic = (userInfo: string) => ({ authorization: `Basic ${Buffer.from(userInfo).toString('base64')}` })

const robotLogin = async ({ ask, robot, remember }: Scenario): Promise<string> => {
  const { body } = await ask('/v2/auth', { headers: basic(`${robot.username}:${robot.password}`) })
  return remember((JSON.parse(body.toString()) as { token: string }).token)
}
const statusOf = async (s: Scenario, token: string, path = open) =>
  (await s.ask(path, { token, headers: { accept } })).status

const sign = async (claims: JWTPayload, key: Uint8Array, alg = 'HS256', header = {}) =>
  await new SignJWT(claims).setProtectedHeader({ alg, ...header }).sign(key)

const next = '5e1d8a07c3f94b62a0d71e3c9b58f640'
const halves = ['', next.slice(0, 10)]

// The proxy reads its files on an interval. The test decides when.
for (const flags of [[], ['--require-strong-secrets']]) {
  mock.timers.enable({ apis: ['setInterval'] })
  await scenario(
    `half a file is no valid key ${flags.join()}`,
    async (t, s) => {
      const write = (content: string) => {
        writeFileSync(s.files.tokenSecret, content)
        mock.timers.tick(10_000)
      }
      write(next)
      t.ok(s.lines().some(({ msg, file }) => msg === 'reloaded' && file === 'token secret'))
      const login = await robotLogin(s)
      const { payload } = await jwtVerify(login, loginKeyOf(next, s.robot))
      t.equal(payload.sub, s.robot.username, 'the new secret signs from now on')
      // Attack: wait until a secret file is half written, then log in with a key that anybody can guess.
      for (const half of halves) {
        write(half)
        for (const key of [hashOf(half), loginKeyOf(half, { ...s.robot, password: '' })])
          t.equal(await statusOf(s, s.remember(await sign(decodeJwt(login), key))), 401)
        if (half === '' || flags.length > 0) t.equal(await statusOf(s, login), 200, 'the whole one goes on')
      }
      write(next)
      t.equal(await statusOf(s, login), 200)
      mock.timers.reset()
      t.equal(s.kubernetes.requests.tokenReviews, 0, 'a token of ours is not shown to the cluster')
    },
    flags,
  )
  mock.timers.reset()
}

await scenario('forged algorithms, and an expired robot token', async (t, s) => {
  const genuine = await robotLogin(s)
  const claims = decodeJwt(genuine)
  const secret = readFileSync(s.files.tokenSecret, 'utf8').trim()
  const key = loginKeyOf(secret, s.robot)
  t.equal(await statusOf(s, s.remember(await sign(claims, key))), 200, 'the forger works with the right key')

  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const pem = publicKey.export({ type: 'spki', format: 'pem' })
  const [, payload = '', signature = ''] = genuine.split('.')
  const headed = (header: object) => Buffer.from(JSON.stringify(header)).toString('base64url')
  const { exp, ...endless } = claims
  const now = Math.floor(Date.now() / 1000)
  const attacks: Readonly<Record<string, string>> = {
    'no signature at all': new UnsecuredJWT(claims).encode(),
    'alg none, the signature left in place': `${headed({ alg: 'none' })}.${payload}.${signature}`,
    'alg None, as a blocklist would not know it': `${headed({ alg: 'None' })}.${payload}.`,
    'another HMAC than ours, by our key': await sign(claims, Buffer.concat([key, key]), 'HS512'),
    'a key pair of their own': await new SignJWT(claims)
      .setProtectedHeader({ alg: 'RS256' })
      .sign(privateKey),
    'a public key taken for a shared secret': await sign(claims, Buffer.from(pem)),
    'a key of their own, brought along': await sign(claims, Buffer.alloc(32, 1), 'HS256', {
      jwk: { kty: 'oct', k: Buffer.alloc(32, 1).toString('base64url') },
    }),
    'a key file of their choice': await sign(claims, Buffer.alloc(32), 'HS256', { kid: '../../dev/null' }),
    'a longer life, under the old signature': `${genuine.split('.')[0]}.${headed({ ...claims, exp: now + 1e6 })}.${signature}`,
    'expired a moment ago': await sign({ ...claims, exp: now - 1 }, key),
    'without an end': await sign(endless, key),
    'the token secret, without the password': await sign(claims, hashOf(secret)),
    'the key of robots, without the password': await sign(
      claims,
      purposeKeyOf(secret, 'quay-proxy robot login 1'),
    ),
    'the key of cursors': await sign(claims, purposeKeyOf(secret, 'quay-proxy list cursor 1')),
    'the password of another robot': await sign(claims, loginKeyOf(secret, { ...s.robot, password: 'x' })),
    'another robot': await sign(
      { ...claims, sub: 'ci+other' },
      loginKeyOf(secret, { ...s.robot, username: 'ci+other' }),
    ),
    'not valid yet': await sign({ ...claims, nbf: now + 60 }, key),
    'for nobody': await sign({ ...claims, sub: undefined } as never, key),
  }
  t.ok(Number(exp) > now)
  for (const [name, token] of Object.entries(attacks))
    for (const headers of [{ authorization: `Bearer ${s.remember(token)}` }, basic(`x:${token}`)]) {
      const answer = await s.ask(embargoed, { headers: { accept, ...headers } })
      t.equal(answer.status, 401, name)
      t.match(answer.headers.get('www-authenticate'), /,error="invalid_token"$/, name)
      t.equal((await s.ask('/v2/auth', { headers })).status, 401, `${name}: nor is it renewed`)
    }
  t.equal(s.kubernetes.requests.tokenReviews, 0, 'what claims to be ours is not shown to the cluster')
})

await tap.test('the time of a password comparison reveals nothing about the password', async (t: Test) => {
  // Attack: a comparison that ends at the first wrong character takes longer for each right one. With some thousand
  // requests for each character, the time tells the password. So the proxy compares hashes of one length, to their end.
  const compared: (readonly [number, number])[] = []
  const { createAuthenticate } = await t.mockImport<typeof authentication>(
    '../../src/registry/authentication/authentication.ts',
    {
      'node:crypto': {
        ...crypto,
        timingSafeEqual: (shown: Buffer, expected: Buffer) => {
          compared.push([shown.length, expected.length])
          return crypto.timingSafeEqual(shown, expected)
        },
      },
    },
  )
  const password = 'Tr0ub4dor&3-and-a-few-more'
  const authenticate = createAuthenticate({
    challenge,
    advice,
    reviewToken: async () => t.fail('the cluster must not be shown it') as never,
    robotCredentials: () => [{ username: 'ci+robot', password }],
    robotTokens: { verify: async () => undefined },
  })
  const guesses = ['x', 'T', password.slice(0, -1), `${password}x`, password.toLowerCase(), 'x'.repeat(5000)]
  const answers = new Set<string>()
  for (const guess of guesses) {
    const { authorization } = basic(`ci+robot:${guess}`)
    await authenticate(parseAuthorization(authorization), '10.0.0.1').catch(({ message }: Error) =>
      answers.add(message),
    )
  }
  t.equal(answers.size, 1, 'how near a guess is shows in no answer')
  t.strictSame(
    compared,
    // Once alone, which must not go to the cluster, and once with the user name before it.
    Array.from([...guesses, ...guesses], () => [32, 32]),
    'each is compared as its hash, however near it is',
  )
  const right = await authenticate(
    parseAuthorization(basic(`ci+robot:${password}`).authorization),
    '10.0.0.1',
  )
  t.equal(right.identity.kind, 'robot')
})

await scenario(
  'attack: a token for another audience, passed on by the service that received it',
  async (t, s) => {
    // Attack: a service receives tokens for its own audience (vault, the sidecar of a CI job) and logs in here with them.
    const tokenFor = (...audiences: string[]) =>
      s.remember(
        s.kubernetes.issueServiceAccountToken({ namespace: 'my-team', name: 'image-puller', audiences }),
      )
    const app = '/v2/my-team/app/manifests/latest'
    t.equal(await statusOf(s, tokenFor('vault'), app), 401)
    t.equal(
      await statusOf(s, tokenFor('quay-proxy'), app),
      401,
      'our own name is an audience only if we were told',
    )
    t.equal(await statusOf(s, s.puller, app), 200)
    // The same attack with tokens of another deployment of the proxy that has the same secret.
    const key = loginKeyOf(readFileSync(s.files.tokenSecret, 'utf8').trim(), s.robot)
    const claims = decodeJwt(await robotLogin(s))
    for (const other of [{ aud: 'https://staging.example' }, { aud: [] }, { iss: 'https://staging.example' }])
      t.equal(
        await statusOf(s, s.remember(await sign({ ...claims, ...other }, key))),
        401,
        JSON.stringify(other),
      )
  },
)

await scenario(
  "with an added audience: tokens for it and for the API server's own are accepted, and no others",
  async (t, s) => {
    const app = '/v2/my-team/app/manifests/latest'
    const rows = [
      [['quay-proxy'], 200],
      [['vault', 'quay-proxy'], 200],
      [['vault'], 401],
      [['quay-proxy2'], 401],
    ] as const
    for (const [audiences, status] of rows) {
      const account = { namespace: 'my-team', name: 'image-puller', audiences }
      t.equal(await statusOf(s, s.remember(s.kubernetes.issueServiceAccountToken(account)), app), status)
    }
    t.equal(await statusOf(s, s.alice), 200, 'trap 18: what oc whoami -t gives stays good')
  },
  ['--token-audience=quay-proxy'],
)

interface Embargoed {
  readonly top: string
  readonly child: string
  readonly config: string
  readonly layer: string
  /** An open image has it as well. */
  readonly shared: string
}

/** A requester with access has pulled all of it: every byte is known, and in every cache. */
const pulledBySomebody = async (s: Scenario): Promise<Embargoed> => {
  const binding: KubernetesObject = {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: { name: 'embargo', namespace: 'ocp-priv' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'system:image-puller' },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: 'embargo' }],
  }
  s.kubernetes.replaceObjects([...(await Promise.all(manifests.map(readManifests))).flat(), binding])
  const insider = s.remember(s.kubernetes.issueUserToken({ username: 'insider', groups: ['embargo'] }))
  await s.pull({ repository: 'ocp-priv/4.5', reference: 'embargoed', username: 'x', password: insider })
  const read = async (path: string) => {
    const { body, headers } = await s.ask(path, { token: insider, headers: { accept } })
    const manifest = JSON.parse(body.toString()) as {
      manifests: { digest: string }[]
      config: { digest: string }
      layers: { digest: string }[]
    }
    return { ...manifest, digest: headers.get('docker-content-digest') ?? '' }
  }
  const index = await read(embargoed)
  const child = index.manifests[0]?.digest ?? ''
  const { config, layers } = await read(`/v2/ocp-priv/4.5/manifests/${child}`)
  const isShared = ({ digest }: { digest: string }) => s.stock.sharedLayers.includes(digest as never)
  const layer = layers.find((candidate) => !isShared(candidate))?.digest ?? ''
  const shared = layers.find(isShared)?.digest ?? ''
  return { top: index.digest, child, config: config.digest, layer, shared }
}

/**
 * Alice may pull every open image, the puller may pull from my-team, mallory may pull nothing. None of them may see these paths.
 * All of them run at once, because each refusal waits for the end of its step of 100 ms.
 */
const allDenied = async (
  t: Test,
  s: Scenario,
  paths: readonly string[],
  more: { method?: string; headers?: Record<string, string> } = {},
) => {
  const before = s.upstreamRequests()
  const attempts = paths.flatMap((path) => [s.alice, s.puller, s.mallory].map((token) => ({ path, token })))
  const answers = await Promise.all(
    attempts.map(async ({ path, token }) => ({
      path,
      answer: await s.ask(path, { token, ...more, headers: { accept, ...more.headers } }),
    })),
  )
  const sent = s.quay.requests.slice(before).map(({ url }) => url)
  for (const { path, answer } of answers) {
    t.equal(answer.status, 403, path)
    for (const field of ['docker-content-digest', 'etag', 'content-range', 'location', 'link'])
      t.equal(answer.headers.get(field), null, `${field} tells nothing`)
    // The proxy may read the tags of an image stream that the requester may pull from, and no other tags.
    const isOfIt = (url: string) => /priv/.test(url) || path.includes(url.split('/').at(-1) ?? url)
    t.same(sent.filter(isOfIt), [], 'upstream hears nothing of it')
  }
}

await scenario('restricted content by digest, of every part of it', async (t, s) => {
  // Attack: digests leak (an advisory, a build log, an SBOM), and QCI-wide access opens unseen digests.
  const { top, child, config, layer } = await pulledBySomebody(s)
  await allDenied(t, s, [
    ...[top, child].map((digest) => `/v2/openshift/ci/manifests/${digest}`),
    ...[config, layer].map((digest) => `/v2/openshift/ci/blobs/${digest}`),
  ])
})

await scenario('restricted content by another repository form', async (t, s) => {
  // Attack: blobs have no namespace. Request them in a repository that is open to the requester, or in one that does not exist.
  const { top, child, layer } = await pulledBySomebody(s)
  for (const repository of ['ocp-priv/4.5', 'ocp-priv/other', 'ocp/4.5', 'my-team/app', 'nobody/nothing'])
    await allDenied(t, s, [
      `/v2/${repository}/manifests/${top}`,
      `/v2/${repository}/manifests/${child}`,
      `/v2/${repository}/blobs/${layer}`,
    ])
  await allDenied(t, s, [
    '/v2/openshift/ci/manifests/ocp-priv_4.5_embargoed',
    '/v2/openshift/ci/manifests/20240603235401_prune_ocp-priv_4.5_embargoed',
    `/v2/openshift/ci/manifests/20240101_${top.replace(':', '_')}`,
    '/v2/ocp%2Dpriv/4%2E5/manifests/embargoed',
  ])
})

await scenario('restricted content by referrers and referrers tags', async (t, s) => {
  // Attack: the referrers of an image are its signatures and SBOMs, which describe its content.
  const { top, child } = await pulledBySomebody(s)
  for (const repository of ['openshift/ci', 'ocp-priv/4.5', 'ocp/4.5'])
    await allDenied(t, s, [
      `/v2/${repository}/referrers/${top}`,
      `/v2/${repository}/referrers/${child}?artifactType=application/spdx%2Bjson`,
    ])
  const fallback = top.replace(':', '-')
  await allDenied(
    t,
    s,
    ['', '.sig', '.att', '.sbom'].map((suffix) => `/v2/openshift/ci/manifests/${fallback}${suffix}`),
  )
})

await scenario('restricted content by Range, a byte at a time', async (t, s) => {
  // Attack: the code for partial answers (206, or 416 with the size) may skip a check that the whole answer has.
  const { layer } = await pulledBySomebody(s)
  const paths = [`/v2/openshift/ci/blobs/${layer}`, `/v2/ocp-priv/4.5/blobs/${layer}`]
  for (const range of ['bytes=0-0', 'bytes=-1', 'bytes=999999999-', 'bytes=0-0,2-2', 'nonsense'])
    await allDenied(t, s, paths, { headers: { range, 'if-range': `"${layer}"` } })
})

await scenario('restricted content by HEAD and If-None-Match', async (t, s) => {
  // Attack: the requester wants no content, only to learn whether it exists, its size, or whether a guessed digest is right.
  const { top, layer } = await pulledBySomebody(s)
  const paths = [
    embargoed,
    '/v2/ocp-priv/4.5/manifests/absent',
    `/v2/openshift/ci/manifests/${top}`,
    `/v2/openshift/ci/blobs/${layer}`,
    `/v2/openshift/ci/referrers/${top}`,
  ]
  await allDenied(t, s, paths, { method: 'HEAD' })
  const conditions = { 'if-none-match': `"${top}"`, 'if-modified-since': new Date().toUTCString() }
  await allDenied(t, s, paths, { headers: conditions })
  const [there, absent] = await Promise.all(
    [embargoed, '/v2/ocp-priv/4.5/manifests/absent'].map(
      async (path) => await s.ask(path, { token: s.alice }),
    ),
  )
  t.equal(there?.body.length, absent?.body.length, 'what is there and what is not are refused alike')
})

await scenario("restricted content after another requester's yes is cached", async (t, s) => {
  // Attack: wait until a requester with access has pulled it, then request what is in the caches of reviews, manifests and
  // digests. Both request at the same time, so that a shared fetch might answer the requester without access.
  const { top } = await pulledBySomebody(s)
  const insider = s.remember(s.kubernetes.issueUserToken({ username: 'insider-2', groups: ['embargo'] }))
  const paths = [embargoed, `/v2/openshift/ci/manifests/${top}`]
  for (const path of paths)
    for (let round = 0; round < 5; round++) {
      const requesters = [insider, s.alice, s.mallory]
      const statuses = await Promise.all(requesters.map(async (token) => await statusOf(s, token, path)))
      t.strictSame(statuses, [200, 403, 403], `${path}: ${round}`)
    }
  await allDenied(t, s, paths)
  // Attack: have the name of another user. A user with the same name and other groups, or another uid, is another user.
  const namesake = s.remember(
    s.kubernetes.issueUserToken({ username: 'insider-2', uid: 'another', groups: [] }),
  )
  t.equal(await statusOf(s, namesake, embargoed), 403)
})

await scenario('a layer that a restricted and an open image share', async (t, s) => {
  // This looks like an attack and is none: the layer is also part of an open image, and a refusal would
  // break the pull of that image. Layers that are not shared stay closed. Shared ones stay closed to requesters who may pull neither image.
  const { layer, shared, child } = await pulledBySomebody(s)
  const blob = `/v2/openshift/ci/blobs/${shared}`
  await allDenied(t, s, [blob])
  await s.pull({ repository: 'ocp/4.5', reference: 'base', username: 'x', password: s.alice })
  t.equal(await statusOf(s, s.alice, blob), 200)
  for (const token of [s.puller, s.mallory]) t.equal(await statusOf(s, token, blob), 403)
  await allDenied(t, s, [`/v2/openshift/ci/blobs/${layer}`, `/v2/openshift/ci/manifests/${child}`])
})
