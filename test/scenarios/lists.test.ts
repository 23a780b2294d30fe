import { buildArtifact } from '../../src/sandbox/quay/images.ts'
import { accept, scenario, type Scenario } from './scenario.ts'

/** All tags of a list, following Link as clients do. */
const walk = async ({ ask, url }: Scenario, path: string, token: string) => {
  const tags: string[] = []
  const links: string[] = []
  for (let next: string | undefined = path; next !== undefined;) {
    const answer = await ask(next, { token })
    const list = JSON.parse(answer.body.toString()) as { tags: string[] }
    tags.push(...list.tags)
    const link = /^<([^>]+)>; rel="next"$/.exec(answer.headers.get('link') ?? '')?.[1]
    if (link !== undefined) links.push(link)
    next = link === undefined ? undefined : new URL(link, url).href.slice(url.length)
  }
  return { tags, links }
}

await scenario('a tag list holds only what the requester may pull', async (t, s) => {
  const all = s.stock.tags.map(({ tag }) => tag).toSorted()
  const open = all.filter((tag) => !tag.startsWith('ocp-priv_'))
  const dated = open.find((tag) => tag.includes('_sha256_')) ?? ''
  const seen = open.filter((tag) => tag !== dated)
  t.same((await walk(s, '/v2/openshift/ci/tags/list', s.alice)).tags, seen, 'its digest is not known yet')
  const digest = dated.slice(-64)
  const twin = s.stock.tags.find((entry) => entry.digest.endsWith(digest) && entry.tag !== dated)
  await s.ask(`/v2/openshift/ci/manifests/${twin?.tag}`, { token: s.alice, headers: { accept } })
  t.same((await walk(s, '/v2/openshift/ci/tags/list', s.alice)).tags, open, 'it was pulled by its tag')
  t.same((await walk(s, '/v2/openshift/ci/tags/list', s.puller)).tags, ['my-team_app_latest'])
  t.same((await walk(s, '/v2/openshift/ci/tags/list', s.mallory)).tags, [])
  const basic = Buffer.from(`${s.robot.username}:${s.robot.password}`).toString('base64')
  const robot = await s.ask('/v2/openshift/ci/tags/list', { headers: { authorization: `Basic ${basic}` } })
  t.same((JSON.parse(robot.body.toString()) as { tags: string[] }).tags, all)
})

await scenario('the list of an image stream has tags without the prefix, and its own name', async (t, s) => {
  const answer = await s.ask('/v2/ocp/4.5/tags/list', { token: s.alice })
  t.same(JSON.parse(answer.body.toString()), { name: 'ocp/4.5', tags: ['base'] })
  t.equal(answer.headers.get('content-type'), 'application/json')
  t.same((await walk(s, '/v2/my-team/app/tags/list', s.puller)).tags, ['latest'])
  t.same((await walk(s, '/v2/ocp/absent/tags/list', s.alice)).tags, [])
  for (const [path, token] of [
    ['/v2/ocp/4.5/tags/list', s.puller],
    ['/v2/ocp-priv/4.5/tags/list', s.alice],
  ] as const) {
    const refused = await s.ask(path, { token })
    t.equal(refused.code, 'DENIED', 'trap 30: skopeo inspect takes no other refusal')
  }
})

await scenario('trap 29: pages, by relative Links', async (t, s) => {
  const image = buildArtifact({
    subject: { digest: `sha256:${'0'.repeat(64)}`, mediaType: 'x', body: Buffer.alloc(0) },
    artifactType: 'text/plain',
    payload: Buffer.from('x'),
  })
  const names = Array.from({ length: 250 }, (_, index) => `v${String(index).padStart(4, '0')}`)
  s.quay.tagMany(
    names.map((name) => `ocp_many_${name}`),
    image,
  )
  s.quay.tagMany(
    Array.from({ length: 3000 }, (_, index) => `${20240603000000 + index}_prune_ocp-priv_x_1`),
    image,
  )
  for (const n of ['', '?n=7', '?n=100', '?n=250', '?n=1000']) {
    const { tags, links } = await walk(s, `/v2/ocp/many/tags/list${n}`, s.alice)
    t.same(tags, names, `n ${n}`)
    t.ok(links.every((link) => link.startsWith('/v2/ocp/many/tags/list?')))
  }
  const monorepo = await walk(s, '/v2/openshift/ci/tags/list?n=50', s.alice)
  t.equal(monorepo.tags.filter((tag) => tag.startsWith('ocp_many_')).length, 250)
  t.notOk(monorepo.tags.some((tag) => tag.startsWith('ocp-priv')))
  t.notOk(
    monorepo.links.some((link) => link.includes('ocp-priv')),
    'no Link tells the name of a hidden tag',
  )
  t.ok(
    monorepo.links.some((link) => link.includes('last=%7E')),
    'though the list went on from one',
  )
  const after = await s.ask('/v2/ocp/many/tags/list?n=2&last=v0010', { token: s.alice })
  t.same((JSON.parse(after.body.toString()) as { tags: string[] }).tags, ['v0011', 'v0012'])
  t.same(
    (
      JSON.parse((await s.ask('/v2/ocp/many/tags/list?n=0', { token: s.alice })).body.toString()) as {
        tags: string[]
      }
    ).tags,
    [],
  )
  for (const query of [
    '?n=-1',
    '?n=x',
    '?n=1&n=2',
    '?last=a&last=b',
    '?last=~nonsense',
    `?last=${'a'.repeat(300)}`,
  ])
    t.equal((await s.ask(`/v2/ocp/many/tags/list${query}`, { token: s.alice })).status, 400, query)
})

await scenario(
  'referrers: an index of the exact media type, with the entries that the requester may pull',
  async (t, s) => {
    const { body, headers } = await s.ask('/v2/ocp/4.5/manifests/base', {
      token: s.alice,
      headers: { accept },
    })
    const base = headers.get('docker-content-digest') ?? ''
    const subject = { digest: base as never, mediaType: headers.get('content-type') ?? '', body }
    const attach = (tag: string, text: string) => {
      const artifact = buildArtifact({
        subject,
        artifactType: 'application/vnd.vex+json',
        payload: Buffer.from(text),
        annotations: { text },
      })
      s.quay.push(artifact)
      s.quay.tagMany([tag], artifact)
      return artifact
    }
    const open = attach('ocp_vex_x', 'open')
    const embargoed = attach('ocp-priv_vex_x', 'embargoed')
    const basic = Buffer.from(`${s.robot.username}:${s.robot.password}`).toString('base64')
    const asRobot = { headers: { authorization: `Basic ${basic}`, accept } }
    const list = async (options: object, path = `/v2/ocp/4.5/referrers/${base}`) => {
      const answer = await s.ask(path, options)
      t.equal(answer.status, 200)
      t.equal(answer.headers.get('content-type'), 'application/vnd.oci.image.index.v1+json')
      const { manifests } = JSON.parse(answer.body.toString()) as { manifests: { digest: string }[] }
      return { digests: manifests.map(({ digest }) => digest), answer }
    }
    const all = [s.stock.sbom, open.digest, embargoed.digest].toSorted()
    t.same((await list(asRobot)).digests.toSorted(), all, 'the robot may pull everything')
    t.same((await list({ token: s.alice })).digests, [], 'nobody has seen any of them')
    // Attack: an embargoed referrer of an open image. A list that names it reveals it, and must not open it.
    for (const tag of ['ocp_vex_x', 'ocp-priv_vex_x'])
      await s.ask(`/v2/openshift/ci/manifests/${tag}`, asRobot)
    const { digests, answer } = await list({ token: s.alice })
    t.same(digests, [open.digest])
    t.notMatch(answer.body.toString(), 'embargoed')
    t.same((await list({ token: s.alice }, `/v2/openshift/ci/referrers/${base}`)).digests, [open.digest])
    for (const path of [
      `manifests/${embargoed.digest}`,
      `blobs/${[...embargoed.blobs.keys()].at(-1)}`,
      'manifests/ocp-priv_vex_x',
    ])
      t.equal(
        (await s.ask(`/v2/openshift/ci/${path}`, { token: s.alice, headers: { accept } })).status,
        403,
        path,
      )
    const filtered = await list(
      { token: s.alice },
      `/v2/ocp/4.5/referrers/${base}?artifactType=${encodeURIComponent('application/spdx+json')}`,
    )
    t.equal(filtered.answer.headers.get('oci-filters-applied'), 'artifactType')
    t.same(filtered.digests, [])
    const unknown = await list({ token: s.alice }, `/v2/ocp/4.5/referrers/sha256:${'0'.repeat(64)}`)
    t.same(unknown.digests, [], 'trap 31: a digest that quay does not know has no referrers')
    t.equal((await s.ask(`/v2/ocp/4.5/referrers/${base}?artifactType=x`, { token: s.alice })).status, 400)
  },
)

await scenario(
  '200,000 tags in 300 namespaces: what one list costs upstream and the cluster',
  async (t, s) => {
    const image = buildArtifact({
      subject: { digest: `sha256:${'0'.repeat(64)}`, mediaType: 'x', body: Buffer.alloc(0) },
      artifactType: 'text/plain',
      payload: Buffer.from('x'),
    })
    const namespaces = Array.from({ length: 300 }, (_, index) => `ns${String(index).padStart(3, '0')}`)
    const tags = namespaces.flatMap((namespace) =>
      Array.from({ length: 667 }, (_, index) => `${namespace}_name_${String(index).padStart(4, '0')}`),
    )
    s.quay.tagMany(tags, image)
    t.ok(tags.length >= 200_000)
    const cost = async (path: string, token: string) => {
      const pages = s.quay.requests.length
      const reviews = s.kubernetes.requests.subjectAccessReviews
      const { tags: listed, links } = await walk(s, path, token)
      return {
        listed,
        requests: links.length + 1,
        pages: s.quay.requests.length - pages,
        reviews: s.kubernetes.requests.subjectAccessReviews - reviews,
      }
    }
    const stream = await cost('/v2/ns150/name/tags/list?n=1000', s.alice)
    t.equal(stream.listed.length, 667)
    t.ok(stream.pages <= 8, `an image stream in the middle: ${stream.pages} pages`)
    const all = await cost('/v2/openshift/ci/tags/list?n=1000&last=ns279_name_0666', s.alice)
    t.equal(all.listed.filter((tag) => tag.startsWith('ns')).length, 20 * 667)
    t.ok(all.reviews <= 3, `QCI-wide: ${all.reviews} reviews`)
    const one = await cost('/v2/openshift/ci/tags/list?n=1000', s.puller)
    t.same(one.listed, ['my-team_app_latest'])
    t.ok(one.pages < 700, `one namespace of 300: ${one.pages} pages, not 2000`)
    t.ok(one.pages / one.requests <= 20, 'bounded for each request')
    t.ok(one.reviews / one.requests <= 64, 'bounded for each request')
    for (const [name, { requests, pages, reviews }] of Object.entries({ stream, all, one }))
      t.comment(`${name}: ${requests} requests, ${pages} upstream pages, ${reviews} reviews`)
  },
)
