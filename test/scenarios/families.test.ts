import { buildArtifact } from '../../src/sandbox/quay/images.ts'
import { accept, scenario, type Scenario } from './scenario.ts'

const hex16 = '0123456789abcdef'
const stamp = '20240101120000'

const artifact = (text: string) =>
  buildArtifact({
    subject: { digest: `sha256:${'0'.repeat(64)}`, mediaType: 'x', body: Buffer.alloc(0) },
    artifactType: 'text/plain',
    payload: Buffer.from(text),
  })

const copies = [
  '',
  `${stamp}_prune_`,
  `${stamp}_prune___ci_images_mirror__`,
  'art__',
  `${stamp}_prune_art__`,
  `${stamp}_prune_${stamp}_prune_`,
  `art__${stamp}_prune___ci_images_mirror__`,
]
const stages = ['', '_incoming', '__pre', '__post1']
const nobodys = [
  'latest',
  `art__${hex16}`,
  `art-builder-${hex16}`,
  'art-builder-4.20-rhel-9',
  'rc_payload__4.20.0',
  'rc_payload__4.20.0__component__etcd',
  'preserved__rc_payload__4.20.0',
  'remove__rc_payload__4.20.0',
]

const basic = ({ robot }: Scenario) =>
  `Basic ${Buffer.from(`${robot.username}:${robot.password}`).toString('base64')}`

const statusOf = async (s: Scenario, reference: string, token: string, repository = 'openshift/ci') =>
  (await s.ask(`/v2/${repository}/manifests/${reference}`, { token, headers: { accept } })).status

const listOf = async (s: Scenario, token: string) => {
  const tags: string[] = []
  for (let next: string | undefined = '/v2/openshift/ci/tags/list?n=1000'; next !== undefined;) {
    const answer = await s.ask(next, { token })
    tags.push(...(JSON.parse(answer.body.toString()) as { tags: string[] }).tags)
    const link = /^<([^>]+)>/.exec(answer.headers.get('link') ?? '')?.[1]
    next = link === undefined ? undefined : new URL(link, s.url).href.slice(s.url.length)
  }
  return tags
}

await scenario(
  'every family of tags, of open and of restricted namespaces: pulls and lists',
  async (t, s) => {
    const image = artifact('of every family')
    const familyOf = (original: string) =>
      copies.flatMap((copy) => stages.map((stage) => `${copy}${original}${stage}`))
    const [ofTeam, ofOcp, restricted] = ['my-team_fam_x', 'ocp_fam_x', 'ocp-priv_fam_x'].map(familyOf)
    if (ofTeam === undefined || ofOcp === undefined || restricted === undefined)
      throw new Error('no families')
    const unknown = ['tomorrow__ocp-priv_x', 'rc_payload__4__component__ocp-priv_x', 'OCP-PRIV_fam_x']
    const closed = [...restricted, ...unknown]
    s.quay.tagMany([...ofTeam, ...ofOcp, ...closed, ...nobodys], image)
    const rows: readonly (readonly [readonly string[], number, number, number])[] = [
      [ofTeam, 200, 200, 403],
      [ofOcp, 200, 403, 403],
      [nobodys, 200, 403, 403],
      [closed, 403, 403, 403],
    ]
    for (const [tags, alice, puller, mallory] of rows)
      for (const tag of tags) {
        t.equal(await statusOf(s, tag, s.mallory), mallory, `${tag}, who may nothing`)
        t.equal(await statusOf(s, tag, s.puller), puller, `${tag}, of my-team`)
        t.equal(await statusOf(s, tag, s.alice), alice, `${tag}, QCI-wide`)
      }
    const mine = (tags: readonly string[]) =>
      tags.filter((tag) => !s.stock.tags.some((known) => known.tag === tag))
    const added = [...ofTeam, ...ofOcp, ...nobodys.filter((tag) => tag !== 'latest')]
    t.same(mine(await listOf(s, s.alice)).toSorted(), added.toSorted())
    t.same(mine(await listOf(s, s.puller)).toSorted(), ofTeam.toSorted())
    t.same(await listOf(s, s.mallory), [])
  },
)

await scenario("attack: a pull of a restricted image's copy does not open the image", async (t, s) => {
  const image = artifact('embargoed')
  const blob = [...image.blobs.keys()].at(-1)
  const tags = ['ocp-priv_fam_x', 'art__ocp-priv_fam_x', `${stamp}_prune___ci_images_mirror__ocp-priv_fam_x`]
  s.quay.tagMany([...tags, `art__${hex16}`, 'tomorrow__ocp-priv_fam_x'], image)
  for (const tag of [...tags, 'tomorrow__ocp-priv_fam_x']) {
    await s.ask(`/v2/openshift/ci/manifests/${tag}`, { headers: { authorization: basic(s), accept } })
    t.equal(await statusOf(s, tag, s.alice), 403, tag)
    t.equal(await statusOf(s, image.digest, s.alice), 403, `the digest, after ${tag}`)
    t.equal((await s.ask(`/v2/openshift/ci/blobs/${blob}`, { token: s.alice })).status, 403)
  }
  // A tag without an owner is no evidence that its image is open, neither for the digest nor for the tag itself.
  t.equal(await statusOf(s, `art__${hex16}`, s.alice), 403)
  t.equal(await statusOf(s, image.digest, s.alice), 403)
})

await scenario(
  'trap 28: signatures and attestations are found under the pulled name, or are absent',
  async (t, s) => {
    const suffixes = ['', '.sig', '.att', '.sbom', '.any-thing_2']
    const hexOf = async (path: string, token: string) => {
      const { headers } = await s.ask(path, { token, headers: { accept } })
      return headers.get('docker-content-digest')?.slice('sha256:'.length) ?? ''
    }
    const mine = await hexOf('/v2/my-team/app/manifests/latest', s.puller)
    const others = await hexOf('/v2/ocp/4.5/manifests/base', s.alice)
    const embargoed = s.stock.tags.find(({ tag }) => tag.startsWith('ocp-priv_'))
    const restricted = embargoed?.digest.slice('sha256:'.length) ?? ''
    await s.ask(`/v2/openshift/ci/manifests/${embargoed?.tag}`, {
      headers: { authorization: basic(s), accept },
    })
    for (const suffix of suffixes) {
      const [own, other, secret] = [mine, others, restricted].map((hex) => `sha256-${hex}${suffix}`)
      if (own === undefined || other === undefined || secret === undefined) throw new Error('no tags')
      for (const repository of ['my-team/app', 'openshift/ci'])
        t.equal(await statusOf(s, own, s.puller, repository), 404, `nothing hangs there yet, ${repository}`)
      const signatures = [own, other, secret].map((tag) => artifact(`signature ${tag}`))
      for (const [index, tag] of [own, other, secret].entries()) s.quay.tagMany([tag], signatures[index]!)
      // By tag and then, as clients do, by the digest and the blobs of that tag.
      for (const [repository, token] of [
        ['my-team/app', s.puller],
        ['openshift/ci', s.puller],
        ['my-team/app', s.alice],
        ['openshift/ci', s.alice],
      ] as const) {
        t.equal(await statusOf(s, own, token, repository), 200, `${own} in ${repository}`)
        const { digest = '', blobs = new Map() } = signatures[0] ?? {}
        t.equal(await statusOf(s, digest, token, repository), 200)
        for (const blob of blobs.keys())
          t.equal((await s.ask(`/v2/${repository}/blobs/${blob}`, { token })).status, 200)
      }
      t.equal(await statusOf(s, other, s.puller, 'my-team/app'), 404, "another's, beside one's own name")
      t.equal(await statusOf(s, other, s.puller, 'ocp/4.5'), 403, "another's, beside another's name")
      t.equal(await statusOf(s, other, s.puller), 403)
      t.equal(await statusOf(s, secret, s.alice), 403)
      t.equal(await statusOf(s, secret, s.alice, 'ocp-priv/4.5'), 403)
      t.equal(await statusOf(s, secret, s.alice, 'ocp/4.5'), 404)
      t.equal(await statusOf(s, secret, s.puller, 'my-team/app'), 404)
      t.equal(await statusOf(s, own, s.mallory, 'my-team/app'), 403)
    }
    const list = await s.ask('/v2/my-team/app/tags/list', { token: s.puller })
    t.same((JSON.parse(list.body.toString()) as { tags: string[] }).tags, ['latest'], 'its own tags alone')
  },
)
