import t from 'tap'
import type { Policy } from '../../../src/access/policy.ts'
import { createTagOwner } from '../../../src/oci/qci-tag.ts'
import { parseRepository, type Reference } from '../../../src/oci/reference.ts'
import { createVisibility } from '../../../src/registry/tags/tag-visibility.ts'
import { alice, allowed, refused, routesOptions } from '../fakes.ts'

const hex = 'a'.repeat(64)
const stamp = '20240603235401'
const monorepo = parseRepository('openshift', 'ci', 'openshift/ci')
const imageStream = parseRepository('ocp', '4.5', 'openshift/ci')
const ownerOf = createTagOwner((namespace) => namespace.endsWith('-priv'))

const visibilityFor = (open: readonly string[], { repository = monorepo, digests = true } = {}) => {
  const asked: string[] = []
  const listed: Reference[] = []
  const policy: Policy = {
    ...routesOptions().policy,
    decide: async () => {
      throw new Error('what is open for being unseen is not to be listed')
    },
    mayList: async (_identity, reference) => {
      listed.push(reference)
      return digests
    },
    decideImageStream: async (_identity, place) => {
      const key = place === undefined ? 'none' : `${place.namespace}/${place.name ?? ''}`
      asked.push(key)
      return open.includes(key) ? allowed : refused
    },
  }
  return { ...createVisibility({ identity: alice, repository, policy, ownerOf }), asked, listed }
}

await t.test('the monorepo by namespace, an image stream by its tags, each decided once', async (test) => {
  const inMonorepo = visibilityFor(['ocp/'])
  for (const tag of ['ocp_4.5_a', 'ocp_4.6_b']) test.ok(await inMonorepo.isVisible(tag))
  test.notOk(await inMonorepo.isVisible('other_4.6_b'))
  test.strictSame(inMonorepo.asked, ['ocp/', 'other/'])
  const inStream = visibilityFor(['ocp/4.5'], { repository: imageStream })
  test.ok(await inStream.isVisible('ocp_4.5_a'))
  test.notOk(await inStream.isVisible('ocp_4.5_a_b'), 'which may be of another image stream')
  test.strictSame(inStream.asked, ['ocp/4.5', 'ocp/'])
})

await t.test(
  'attack: a slow cluster ends a list after some seconds of waiting, not after 64 reviews',
  async (test) => {
    let time = 0
    const slow = async () => {
      await Promise.resolve()
      time += 2000
    }
    const policy = {
      ...routesOptions().policy,
      decideImageStream: async () => {
        await slow()
        return allowed
      },
      mayList: async () => {
        await slow()
        return true
      },
    }
    const list = (repository: typeof monorepo) =>
      createVisibility({ identity: alice, repository, policy, ownerOf, now: () => time })
    const visibility = list(monorepo)
    for (const tag of ['ocp_a_b', 'team_a_b']) {
      test.ok(await visibility.isVisible(tag))
      test.notOk(visibility.isSpent())
    }
    test.ok(await visibility.isVisible('other_a_b'))
    test.ok(visibility.isSpent())
    const digests = list(monorepo)
    for (const digit of ['1', '2', '3']) test.ok(await digests.isVisible(`sha256-${digit.repeat(64)}`))
    test.ok(digests.isSpent())
  },
)

await t.test('dated copies, stages and parts are visible with access to their namespace', async (test) => {
  const team = visibilityFor(['my-team/'])
  for (const copy of ['', `${stamp}_prune_`, `${stamp}_prune___ci_images_mirror__`, 'art__'])
    for (const stage of ['', '_incoming', '__pre']) {
      test.ok(await team.isVisible(`${copy}my-team_app_x${stage}`), `${copy}${stage}`)
      test.notOk(await team.isVisible(`${copy}ocp_app_x${stage}`))
    }
  test.strictSame(team.asked, ['my-team/', 'ocp/'])
  const everything = visibilityFor(['none', 'ocp/', 'my-team/'])
  for (const copy of [`${stamp}_prune___ci_images_mirror__`, 'art__', 'tomorrow__', 'rc_payload__x__'])
    test.notOk(await everything.isVisible(`${copy}ocp-priv_4.5_base`), copy)
  test.strictSame(everything.asked, ['ocp-priv/'])
})

await t.test(
  'tags without an image stream need QCI-wide access, tags of a digest need a known digest',
  async (test) => {
    const nobodys = [
      'latest',
      'art__0123456789abcdef',
      'rc_payload__4.20.0',
      'preserved__x',
      'remove__x',
      'OCP_a_b',
    ]
    const ofDigest = [
      `20231029_sha256_${hex}`,
      `sha256-${hex}`,
      `sha256-${hex}.sig`,
      `art__sha256-${hex}.att`,
    ]
    const open = visibilityFor(['none'])
    const closed = visibilityFor([], { digests: false })
    for (const tag of nobodys) {
      test.ok(await open.isVisible(tag), tag)
      test.notOk(await closed.isVisible(tag), tag)
    }
    for (const tag of ofDigest) {
      test.ok(await open.isVisible(tag), tag)
      test.notOk(await closed.isVisible(tag), tag)
    }
    test.match(open.listed, [
      { kind: 'tag', repository: monorepo, owner: { by: 'digest', digest: `sha256:${hex}` } },
    ])
    test.equal(open.listed.length, 1, 'once for a digest')
    for (const tag of ['-no tag', 'a'.repeat(129)]) test.notOk(await open.isVisible(tag))
  },
)

await t.test('the list of an image stream has the tags that can be pulled under its name', async (test) => {
  const inStream = visibilityFor(['ocp/4.5', 'ocp/'], { repository: imageStream })
  test.notOk(await inStream.isVisible(`ocp_4.5_sha256-${hex}.sig`), 'which is read as what hangs on an image')
  test.notOk(await inStream.isVisible('ocp_4.5_x__ocp-priv_y'))
  const dated = parseRepository('20231029', 'sha256', 'openshift/ci')
  const ofDigests = visibilityFor(['20231029/sha256'], { repository: dated })
  test.notOk(await ofDigests.isVisible(`20231029_sha256_${hex}`))
  test.ok(await ofDigests.isVisible('20231029_sha256_x'))
})

await t.test('a namespace that the walk can skip', async (test) => {
  const { hiddenNamespace } = visibilityFor(['ocp/'])
  test.equal(await hiddenNamespace('secret_x_1'), 'secret')
  test.equal(await hiddenNamespace('ocp_x_1'), undefined, 'it is open')
  test.equal(await hiddenNamespace(`${stamp}_prune_secret_x_1`), undefined, 'its tags stand elsewhere')
  test.equal(await hiddenNamespace('latest'), undefined, 'there is none')
  test.equal(await hiddenNamespace('a'.repeat(200)), undefined, 'no tag')
  // Copies and digests of others stand among what begins with these.
  for (const namespace of ['art', '20231029', stamp])
    test.equal(await hiddenNamespace(`${namespace}_x_1`), undefined, namespace)
})

await t.test('limits: 64 image streams, 512 hidden digests; visible tags do not count', async (test) => {
  const streams = visibilityFor([])
  for (let index = 0; index < 64; index++) {
    test.notOk(streams.isSpent())
    await streams.isVisible(`n${index}_x_1`)
    await streams.isVisible(`n${index}_y_1`)
  }
  test.ok(streams.isSpent())
  const digestTag = (index: number) => `sha256-${String(index).padStart(64, '0')}.sig`
  const hidden = visibilityFor([], { digests: false })
  const seen = visibilityFor([])
  for (let index = 0; index < 512; index++) {
    if (hidden.isSpent()) test.fail(`spent after ${index}`)
    for (const tag of [digestTag(index), digestTag(index)]) {
      await hidden.isVisible(tag)
      await seen.isVisible(tag)
    }
  }
  test.ok(hidden.isSpent())
  test.notOk(seen.isSpent())
})

await t.test('QCI-wide, or not', async (test) => {
  test.ok(await visibilityFor(['none']).isQciWide())
  test.notOk(await visibilityFor(['ocp/']).isQciWide())
})
