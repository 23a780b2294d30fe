import { createHash } from 'node:crypto'
import { get } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import tap from 'tap'
import { accept, scenario, type Scenario } from './scenario.ts'

// Each test has its own system and mostly waits, so they run at the same time.
tap.jobs = 3

const sha256 = (bytes: Buffer) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`
const manifest = '/v2/ocp/4.5/manifests/base'
const pullManifest = async (s: Scenario, token = s.alice) =>
  await s.ask(manifest, { token, headers: { accept } })

void scenario(
  "trap 39: quay's 429 is HTML without Retry-After",
  async (t, s) => {
    s.quay.fault({ origin: 'quay', path: /manifests/, status: 429, count: Infinity })
    const answer = await pullManifest(s)
    t.equal(answer.status, 429)
    t.equal(answer.code, 'TOOMANYREQUESTS')
    t.match(answer.headers.get('retry-after'), /^\d+$/)
    s.quay.clearFaults()
    t.equal((await pullManifest(s)).status, 200, 'and is over when it is over')
  },
  ['--retry-timeout=300ms'],
)

void scenario(
  'one failing path of upstream does not affect others',
  async (t, s) => {
    const path = `/v2/openshift/ci/blobs/${s.stock.openLayers[0]}`
    for (const fault of [
      { status: 429 },
      { status: 500 },
      { status: 502 },
      { reset: true },
      { wrongBytes: true },
    ]) {
      s.quay.fault({ origin: 'quay', path: /manifests/, ...fault })
      const { status, headers } = await pullManifest(s)
      t.equal(status, 200, JSON.stringify(fault))
      t.equal(headers.get('warning'), null)
    }
    for (const fault of [{ status: 403 }, { status: 502 }, { reset: true }, { cutAfterBytes: 1000 }]) {
      s.quay.fault({ origin: 'cdn', path: /./, ...fault })
      const { status, body } = await s.ask(path, { token: s.alice })
      t.equal(status, 200, JSON.stringify(fault))
      t.equal(sha256(body), s.stock.openLayers[0])
    }
  },
  ['--tag-ttl=0s', '--manifest-cache-bytes=0'],
)

void scenario(
  'a lasting upstream failure is 503 with Retry-After, never 500 or 502',
  async (t, s) => {
    for (const fault of [
      { status: 500 },
      { status: 502 },
      { status: 503 },
      { status: 504 },
      { reset: true },
      { wrongBytes: true },
    ]) {
      s.quay.fault({ origin: 'quay', path: /manifests/, count: Infinity, ...fault })
      const answer = await pullManifest(s)
      t.equal(answer.status, 503, JSON.stringify(fault))
      t.equal(answer.code, 'UNAVAILABLE')
      t.match(answer.headers.get('retry-after'), /^\d+$/)
      s.quay.clearFaults()
      // The first request after it may still fail, while the probe of the circuit breaker finds that upstream works again.
      while ((await pullManifest(s)).status !== 200) await sleep(50)
    }
  },
  ['--tag-ttl=0s', '--manifest-cache-bytes=0', '--retry-timeout=300ms'],
)

void scenario(
  "trap 16: upstream's 401 and its challenge never reach a client",
  async (t, s) => {
    s.quay.fault({ origin: 'quay', path: /manifests/, expire: true })
    t.equal((await pullManifest(s)).status, 200, 'one renewal of the robot token')
    const fetches = () => s.quay.requests.filter(({ url }) => url.startsWith('/v2/auth?')).length
    t.equal(fetches(), 1)
    s.quay.fault({ origin: 'quay', path: /manifests/, expire: true, count: Infinity })
    const refused = await pullManifest(s)
    t.equal(refused.status, 503)
    t.equal(refused.headers.get('www-authenticate'), null)
    t.match(await s.metrics(), /quay_proxy_robot_refused_total 1/)
    t.ok(s.lines().some(({ level, msg }) => level === 'error' && String(msg).includes('rejected the robot')))
  },
  ['--tag-ttl=0s'],
)

void scenario(
  'trap 40: quay gives a robot without access an empty grant, which the proxy notices',
  async (t, s) => {
    s.quay.setRobot({ ...s.robot, mayPull: false })
    s.quay.fault({ origin: 'quay', path: /manifests/, expire: true })
    const answer = await pullManifest(s)
    t.equal(answer.status, 503)
    t.match(await s.metrics(), /quay_proxy_robot_refused_total [1-9]/)
  },
)

void scenario('trap 27: expired and absent tags are MANIFEST_UNKNOWN', async (t, s) => {
  for (const tag of [s.stock.expiredTag, 'ocp_4.5_absent', `ocp_4.5_sha256-${'0'.repeat(64)}.sig`]) {
    const answer = await s.ask(`/v2/openshift/ci/manifests/${tag}`, { token: s.alice, headers: { accept } })
    t.equal(answer.status, 404, tag)
    t.equal(answer.code, 'MANIFEST_UNKNOWN')
    t.match(answer.message, /not promoted or not mirrored yet, or it was pruned/)
  }
  const blob = await s.ask(`/v2/openshift/ci/blobs/sha256:${'0'.repeat(64)}`, { token: s.alice })
  t.equal(blob.code, 'BLOB_UNKNOWN')
})

void scenario(
  'trap 36: a body that cannot be resumed breaks the connection, and does not end cleanly',
  async (t, s) => {
    s.quay.fault({ origin: 'cdn', path: /./, cutAfterBytes: 1000 })
    // The next request is for another blob.
    s.quay.fault({ origin: 'cdn', path: /./, headers: { etag: '"another"' } })
    const outcome = await new Promise<{ received: number; error: string }>((resolve) => {
      const headers = { authorization: `Bearer ${s.alice}` }
      get(`${s.url}/v2/openshift/ci/blobs/${s.stock.openLayers[0]}`, { headers }, (response) => {
        let received = 0
        response.on('data', (chunk: Buffer) => (received += chunk.length))
        response.on('error', ({ message }) => resolve({ received, error: message }))
        response.on('end', () => resolve({ received, error: 'a clean end' }))
      })
    })
    t.equal(outcome.error, 'aborted')
    t.ok(outcome.received <= 1000)
  },
)

void scenario(
  'trap 37: a signed URL is used once, and a redirect elsewhere is not followed',
  async (t, s) => {
    const path = `/v2/openshift/ci/blobs/${s.stock.openLayers[0]}`
    await s.ask(path, { token: s.alice })
    await s.ask(path, { token: s.alice })
    const signed = s.quay.requests.filter(({ origin }) => origin === 'cdn').map(({ url }) => url)
    t.equal(signed.length, 2)
    s.quay.fault({ origin: 'quay', path: /blobs/, redirectTo: 'file:///etc/passwd' })
    t.equal((await s.ask(path, { token: s.alice })).status, 503)
  },
)

void scenario('trap 17: while the API server is unavailable, 503 within 5 s, never 401', async (t, s) => {
  for (const fault of [
    { kind: 'reset' },
    { kind: 'status', status: 500 },
    // Its answer is right and late. A request that waited for it would not be answered 503.
    { kind: 'slow', delayMs: 5000 },
  ] as const) {
    s.kubernetes.fault(fault)
    const token = s.kubernetes.issueUserToken({ username: `new-${fault.kind}`, groups: [] })
    const answers = await Promise.all([pullManifest(s, token), s.ask('/v2/', { token })])
    for (const answer of answers) {
      t.equal(answer.status, 503, fault.kind)
      t.equal(answer.code, 'UNAVAILABLE')
      t.match(answer.headers.get('retry-after'), /^\d+$/)
    }
    s.kubernetes.fault({ kind: 'none' })
    let later = await pullManifest(s, token)
    // The proxy probes a slow server again after a second, while other requests are still refused.
    while (fault.kind === 'slow' && later.status === 503) {
      await sleep(50)
      later = await pullManifest(s, token)
    }
    t.equal(later.status, 403, `${fault.kind}: nothing was remembered of it`)
  }
  t.equal((await s.ask('/v2/')).status, 401, 'trap 14: and the ping asks nobody')
})

void scenario(
  'known identities pull on while the API server is unavailable',
  async (t, s) => {
    t.equal((await pullManifest(s)).status, 200)
    s.kubernetes.fault({ kind: 'reset' })
    await sleep(60)
    t.equal((await pullManifest(s)).status, 200)
    t.match(
      await s.metrics(),
      /quay_proxy_review_cache_hits_total\{cache="TokenReview",outcome="authenticated",source="grace"\}/,
    )
  },
  ['--identity-ttl=50ms', '--allow-ttl=50ms'],
)

for (const fault of [
  { kind: 'slow', delayMs: 5000 },
  { kind: 'status', status: 429, retryAfterSeconds: 30 },
  { kind: 'status', status: 500 },
] as const) {
  const trouble = fault.kind === 'slow' ? 'is slow' : `answers ${fault.status}`
  void scenario(
    `while the API server ${trouble}, known identities pull on, and service recovers soon after`,
    async (t, s) => {
      const issue = (username: string, groups: readonly string[]) =>
        s.remember(s.kubernetes.issueUserToken({ username, groups }))
      const revoked = issue('revoked', ['qci-image-pullers'])
      const clients = {
        'a yes that is known': { token: s.alice, meanwhile: 200, after: 200 },
        'a yes that is known, revoked in the meantime': { token: revoked, meanwhile: 200, after: 401 },
        'a no that is known': { token: s.mallory, meanwhile: 503, after: 403 },
        'a yes to be': { token: issue('bob', ['qci-image-pullers']), meanwhile: 503, after: 200 },
        'a no to be': { token: issue('eve', []), meanwhile: 503, after: 403 },
        nobody: { token: s.remember('sha256~a-token-of-nobody'), meanwhile: 503, after: 401 },
      }
      const all = Object.entries(clients)
      for (const [token, status] of [
        [s.alice, 200],
        [revoked, 200],
        [s.mallory, 403],
      ] as const)
        t.equal((await pullManifest(s, token)).status, status)
      // later than the lives of all cached decisions
      await sleep(60)

      s.kubernetes.fault(fault)
      s.kubernetes.revoke(revoked)
      const ask = async () =>
        await Promise.all(
          all.map(async ([who, { token, meanwhile, after }]) => {
            const { status } = await pullManifest(s, token)
            return { who, status, meanwhile, after }
          }),
        )
      // In time: if the proxy waited for the server, the answer would be the right one.
      for (const { who, status, meanwhile } of await ask()) t.equal(status, meanwhile, `meanwhile, ${who}`)

      s.kubernetes.fault({ kind: 'none' })
      const wrong = []
      let answers = await ask()
      // The timeout of the test bounds the wait.
      while (answers.some(({ status, after }) => status !== after)) {
        wrong.push(...answers.filter(({ status, ...right }) => !Object.values(right).includes(status)))
        await sleep(50)
        answers = await ask()
      }
      t.same(wrong, [], 'nothing but what was and what is right until then')
      for (const { who, status, after } of answers) t.equal(status, after, `after it, ${who}`)
    },
    ['--identity-ttl=50ms', '--allow-ttl=50ms', '--deny-ttl=50ms'],
  )
}

void scenario('a client that disconnects ends its upstream stream', async (t, s) => {
  s.quay.fault({ origin: 'cdn', path: /./, stallAfterBytes: 1000 })
  const controller = new AbortController()
  const response = await fetch(`${s.url}/v2/openshift/ci/blobs/${s.stock.openLayers[0]}`, {
    headers: { authorization: `Bearer ${s.alice}` },
    signal: controller.signal,
  })
  t.equal(response.status, 200)
  t.match(await s.metrics(), /quay_proxy_streams_in_flight 1/)
  controller.abort()
  while (!/quay_proxy_streams_in_flight 0/.test(await s.metrics())) await sleep(20)
  t.ok(s.lines().some(({ aborted }) => aborted === true))
})
