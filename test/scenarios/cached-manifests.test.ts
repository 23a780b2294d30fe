import { createHash } from 'node:crypto'
import { get as httpGet } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import tap from 'tap'
import { buildImage } from '../../src/sandbox/quay/images.ts'
import { withoutTeam } from '../sandbox/app-ci/project-manifests.ts'
import { accept, scenario, type Answer, type Scenario } from './scenario.ts'
import { until } from '../support/until.ts'

// Each test has its own system and mostly waits, so they run at the same time.
tap.jobs = 3

const path = '/v2/ocp/4.5/manifests/base'
const warning = '110 - "Response is Stale"'
const headers = { accept }
/** Requests to upstream for manifests. */
const asked = (s: Scenario): readonly string[] =>
  s.quay.requests
    .filter(({ url }) => url.includes('/manifests/'))
    .map(({ method, url }) => `${method} ${url.split('/').at(-1)}`)
const childrenOf = ({ body }: Answer): readonly string[] =>
  (JSON.parse(body.toString()) as { manifests: { digest: string }[] }).manifests.map(({ digest }) => digest)
const exactly = ['content-type', 'content-length', 'docker-content-digest', 'etag'] as const
const headOf = (answer: Answer) => exactly.map((name) => answer.headers.get(name))
/** The timeout of the test bounds the wait. */
/** Requests that have reached the manifest cache. */
const decisionsIn = (metrics: string): number =>
  [...metrics.matchAll(/^quay_proxy_decisions_total\{.*\} (\d+)$/gm)].reduce(
    (sum, [, value]) => sum + Number(value),
    0,
  )

void scenario('200 clients at once: one upstream request for each manifest', async (t, s) => {
  s.quay.fault({ origin: 'quay', path: /manifests/, delayMs: 300 })
  const answers = await Promise.all(
    Array.from({ length: 200 }, async (_, index) =>
      s.ask(path, { method: index % 4 === 0 ? 'HEAD' : 'GET', token: s.alice, headers }),
    ),
  )
  t.same([...new Set(answers.map(({ status }) => status))], [200])
  t.same(asked(s), ['GET ocp_4.5_base'])
  const [head, full] = answers
  if (head === undefined || full === undefined) throw new Error('no answers')
  for (const answer of answers) {
    t.same(headOf(answer), headOf(full))
    t.ok(answer.body.length === 0 || answer.body.equals(full.body))
  }
  const children = childrenOf(full)
  const byDigest = [full.headers.get('docker-content-digest') ?? '', ...children]
  await Promise.all(
    Array.from({ length: 200 }, async (_, index) => {
      const digest = byDigest[index % byDigest.length] ?? ''
      const { status, body } = await s.ask(`/v2/ocp/4.5/manifests/${digest}`, { token: s.alice })
      t.equal(status, 200)
      t.equal(`sha256:${createHash('sha256').update(body).digest('hex')}`, digest)
    }),
  )
  t.same(asked(s).toSorted(), ['GET ocp_4.5_base', ...children.map((digest) => `GET ${digest}`)].toSorted())
})

void scenario('the client of a shared request disconnects: the others notice nothing', async (t, s) => {
  const gate = Promise.withResolvers<void>()
  s.quay.fault({
    origin: 'quay',
    path: /manifests/,
    raw: (_request, response) => {
      const answer = () =>
        response.writeHead(200, { 'content-type': 'application/json' }).end('{"schemaVersion":2}')
      void gate.promise.then(answer)
    },
  })
  const first = httpGet(`${s.url}${path}`, { headers: { authorization: `Bearer ${s.alice}`, accept } })
  const broken = new Promise((resolve) => first.on('error', resolve))
  await until(() => asked(s).length === 1)
  const others = Array.from({ length: 20 }, async () => await s.ask(path, { token: s.alice, headers }))
  await until(async () => decisionsIn(await s.metrics()) === 21)
  first.destroy()
  await broken
  await until(() => s.lines().some(({ aborted }) => aborted === true))
  gate.resolve()
  for (const { status } of await Promise.all(others)) t.equal(status, 200)
  t.equal((await s.ask(path, { token: s.alice, headers })).status, 200, 'and it is known from then on')
  t.equal(asked(s).length, 1)
})

void scenario('trap 21: HEAD has exactly the headers of GET, and costs no second request', async (t, s) => {
  const head = await s.ask(path, { method: 'HEAD', token: s.alice, headers })
  const full = await s.ask(path, { token: s.alice, headers })
  const digest = full.headers.get('docker-content-digest') ?? ''
  const again = await s.ask(`/v2/ocp/4.5/manifests/${digest}`, { method: 'HEAD', token: s.alice })
  t.equal(full.headers.get('content-length'), String(full.body.length))
  t.equal(digest, `sha256:${createHash('sha256').update(full.body).digest('hex')}`)
  for (const answer of [head, again]) {
    t.same(headOf(answer), headOf(full))
    t.equal(answer.body.length, 0)
    t.equal(answer.headers.get('warning'), null)
  }
  t.same(asked(s), ['GET ocp_4.5_base'])
})

void scenario(
  'trap 22: quay converts by Accept, and each client gets a type that it accepts',
  async (t, s) => {
    const bodies = {
      'application/vnd.oci.image.index.v1+json': Buffer.from('{"schemaVersion":2,"manifests":[]}'),
      'application/vnd.docker.distribution.manifest.v2+json': Buffer.from('{"schemaVersion":2,"layers":[]}'),
    }
    const types = Object.keys(bodies) as (keyof typeof bodies)[]
    s.quay.fault({
      origin: 'quay',
      path: /manifests/,
      count: Infinity,
      raw: (request, response) => {
        const type = types.find((name) => request.headers.accept?.includes(name)) ?? types[0]!
        response.writeHead(200, { 'content-type': type }).end(bodies[type])
      },
    })
    for (const method of ['GET', 'HEAD', 'GET'])
      for (const type of types) {
        const spelling = method === 'HEAD' ? `${type};q=0.5` : type
        const answer = await s.ask(path, { method, token: s.alice, headers: { accept: spelling } })
        t.equal(answer.headers.get('content-type'), type)
        if (method === 'GET') t.same(answer.body, bodies[type])
      }
    t.equal(asked(s).length, types.length)
  },
)

void scenario(
  'a moved tag is seen when the cached one expires',
  async (t, s) => {
    const before = await s.ask(path, { token: s.alice, headers })
    const moved = await buildImage({
      name: 'moved',
      platforms: ['linux/amd64'],
      layers: 1,
      layerBytes: 100,
      format: 'oci',
    })
    s.quay.tag('ocp_4.5_base', moved)
    const digestNow = async () =>
      (await s.ask(path, { token: s.alice, headers })).headers.get('docker-content-digest')
    await until(async () => (await digestNow()) === moved.digest)
    const requests = asked(s).length
    const old = await s.ask(`/v2/ocp/4.5/manifests/${before.headers.get('docker-content-digest')}`, {
      token: s.alice,
    })
    t.same(old.body, before.body, 'what it was is still known by its digest')
    t.equal(asked(s).length, requests)
  },
  ['--tag-ttl=200ms'],
)

/** Longer than the life of a cached tag. */
const pastMs = 60
// A short retry time, because the failure lasts.
const shortLife = ['--tag-ttl=50ms', '--retry-timeout=300ms']

for (const fault of [{ status: 500 }, { status: 503 }, { status: 429 }, { reset: true }, { hang: true }])
  void scenario(
    `${JSON.stringify(fault)}: cached content is served, with a warning that it may be stale`,
    async (t, s) => {
      const known = await s.ask(path, { token: s.alice, headers })
      t.equal(known.headers.get('warning'), null)
      await sleep(pastMs)
      s.quay.fault({ origin: 'quay', path: /manifests/, count: Infinity, ...fault })
      const stale = await s.ask(path, { token: s.alice, headers })
      t.equal(stale.status, 200)
      t.equal(stale.headers.get('warning'), warning)
      t.same(stale.body, known.body)
      t.same(headOf(stale), headOf(known))

      const requests = asked(s).length
      const more = await Promise.all(
        Array.from({ length: 30 }, async () => s.ask(path, { method: 'HEAD', token: s.alice, headers })),
      )
      t.ok(more.every((answer) => answer.headers.get('warning') === warning))
      t.ok(asked(s).length - requests < 15, 'upstream is not asked by each of them')
      const digest = known.headers.get('docker-content-digest')
      const byDigest = await s.ask(`/v2/ocp/4.5/manifests/${digest}`, { token: s.alice })
      t.equal(byDigest.status, 200)
      t.equal(byDigest.headers.get('warning'), null, 'a digest is never stale')

      // A hanging request ends at its deadline, which is later than the end of this test.
      if (fault.hang) return
      s.quay.clearFaults()
      await until(async () => {
        const answer = await s.ask(path, { token: s.alice, headers })
        return answer.status === 200 && answer.headers.get('warning') === null
      })
    },
    shortLife,
  )

void scenario(
  'the first stale response does not wait for a slow upstream',
  async (t, s) => {
    t.equal((await s.ask(path, { token: s.alice, headers })).status, 200)
    await sleep(pastMs)
    // Within two seconds, because the answer after three seconds would have no warning.
    s.quay.fault({ origin: 'quay', path: /manifests/, delayMs: 3000 })
    const { status, headers: answered } = await s.ask(path, { token: s.alice, headers })
    t.equal(status, 200)
    t.equal(answered.get('warning'), warning)
  },
  shortLife,
)

void scenario(
  'what upstream refuses or has deleted is not served from the cache',
  async (t, s) => {
    const tag = '/v2/my-team/app/manifests/latest'
    const readBoth = async () => {
      // After repeated failures the next request follows after a short pause.
      for (const one of [path, tag])
        while ((await s.ask(one, { token: s.alice, headers })).status !== 200) await sleep(50)
      await sleep(pastMs)
    }
    const refused = async (one: string, status: number, why: string) => {
      for (const method of ['GET', 'HEAD']) {
        const answer = await s.ask(one, { method, token: s.alice, headers })
        t.equal(answer.status, status, `${why}, ${method}`)
        t.equal(answer.headers.get('warning'), null)
        t.equal(answer.headers.get('docker-content-digest'), null)
      }
    }
    await readBoth()
    s.quay.fault({ origin: 'quay', path: /manifests/, count: Infinity, status: 403 })
    await refused(path, 503, '403')
    s.quay.clearFaults()
    s.quay.fault({ origin: 'quay', path: /manifests/, count: Infinity, expire: true })
    await refused(path, 503, '401')
    s.quay.clearFaults()
    s.quay.fault({ origin: 'quay', path: /manifests/, count: Infinity, status: 503 })
    await refused(path, 503, 'refused before the trouble')
    s.quay.clearFaults()
    await readBoth()
    s.quay.untag('ocp_4.5_base')
    await refused(path, 404, 'pruned')
    s.quay.fault({ origin: 'quay', path: /manifests/, count: Infinity, status: 404 })
    await refused(tag, 404, 'gone')
    s.quay.clearFaults()
    s.quay.fault({ origin: 'quay', path: /manifests/, count: Infinity, status: 503 })
    await refused(path, 503, 'pruned before the trouble')
    await refused(tag, 503, 'gone before the trouble')
  },
  shortLife,
)

const robotOf = async ({ ask, robot, remember }: Scenario): Promise<string> => {
  const basic = Buffer.from(`${robot.username}:${robot.password}`).toString('base64')
  const { body } = await ask('/v2/auth', { headers: { authorization: `Basic ${basic}` } })
  return remember((JSON.parse(body.toString()) as { token: string }).token)
}

for (const [state, life] of [
  ['cached', '1h'],
  ['stale', '50ms'],
] as const)
  void scenario(
    `attack: a ${state} manifest is closed to requesters without access`,
    async (t, s) => {
      const robot = await robotOf(s)
      const embargoed = '/v2/ocp-priv/4.5/manifests/embargoed'
      const full = await s.ask(embargoed, { token: robot, headers })
      const [child = ''] = childrenOf(full)
      const image = await s.ask(`/v2/ocp-priv/4.5/manifests/${child}`, { token: robot })
      const { layers } = JSON.parse(image.body.toString()) as { layers: { digest: string }[] }
      const layer = layers
        .map(({ digest }) => digest)
        .find((one) => !s.stock.sharedLayers.includes(one as never))
      const team = '/v2/my-team/app/manifests/latest'
      const theirs = await s.ask(team, { token: s.puller, headers })
      t.equal(theirs.status, 200)
      await s.ask(path, { token: s.alice, headers })
      if (state === 'stale') {
        await sleep(pastMs)
        s.quay.fault({ origin: 'quay', path: /./, count: Infinity, status: 503 })
      }
      // It exists: a requester with access gets it.
      const warned = state === 'stale' ? warning : null
      for (const [token, one] of [
        [robot, embargoed],
        [s.puller, team],
        [s.alice, path],
      ] as const) {
        const answer = await s.ask(one, { token, headers })
        t.equal(answer.status, 200)
        t.equal(answer.headers.get('warning'), warned)
      }
      // The requester loses the right.
      s.kubernetes.replaceObjects(withoutTeam)
      await until(async () => (await s.ask(team, { token: s.puller, headers })).status === 403)

      const requests = s.upstreamRequests()
      const top = full.headers.get('docker-content-digest') ?? ''
      const teams = theirs.headers.get('docker-content-digest') ?? ''
      const rows = [
        ['mallory, an open image', s.mallory, path],
        ['mallory, a restricted image', s.mallory, embargoed],
        ['QCI-wide, a restricted image', s.alice, embargoed],
        ['QCI-wide, the monorepo form of it', s.alice, '/v2/openshift/ci/manifests/ocp-priv_4.5_embargoed'],
        ['QCI-wide, its digest', s.alice, `/v2/openshift/ci/manifests/${top}`],
        ['QCI-wide, its digest under an open repository', s.alice, `/v2/ocp/4.5/manifests/${top}`],
        ['QCI-wide, a child of it', s.alice, `/v2/openshift/ci/manifests/${child}`],
        ['QCI-wide, a layer of it', s.alice, `/v2/openshift/ci/blobs/${layer}`],
        ['who has lost the right', s.puller, team],
        ['who has lost the right, by digest', s.puller, `/v2/my-team/app/manifests/${teams}`],
        ['who has lost the right, in the monorepo form', s.puller, `/v2/openshift/ci/manifests/${teams}`],
      ] as const
      for (const [who, token, one] of rows)
        for (const method of ['GET', 'HEAD']) {
          const answer = await s.ask(one, { method, token, headers })
          t.equal(answer.status, 403, `${method}: ${who}`)
          for (const name of ['docker-content-digest', 'etag', 'warning'])
            t.equal(answer.headers.get(name), null, `${method}: ${who}: no ${name}`)
        }
      t.equal((await s.ask(embargoed, { headers })).status, 401, 'nobody in particular')
      // While upstream fails, an earlier request may still be retried at the same time.
      const asked = s.quay.requests.slice(requests).map(({ url }) => url)
      const isOfIt = (url: string) =>
        [top, child, layer, 'priv'].some((part) => part !== undefined && url.includes(part))
      if (state === 'cached') t.same(asked.filter(isOfIt), [], 'and upstream hears nothing of it')
    },
    [`--tag-ttl=${life}`, '--allow-ttl=50ms', '--deny-ttl=1h', '--retry-timeout=300ms'],
  )
