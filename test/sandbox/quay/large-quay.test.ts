import t from 'tap'
import { ask, login, robot } from './quay-client.ts'
import { createLargeQuay } from './large-quay.ts'

await t.test(
  'a large quay has as many tags as were asked for, in order, each with its content',
  async (test) => {
    for (const collation of ['bytes', 'text'] as const) {
      const { quay, restricted, contentOf, open } = await createLargeQuay({
        robot,
        tags: 3000,
        restrictedLive: 50,
        restrictedDated: 200,
        collation,
      })
      test.teardown(() => quay.close())
      const headers = { ...(await login(quay)), accept: open.mediaType }
      const tags: string[] = []
      let next: string | undefined = `${quay.url}/v2/openshift/ci/tags/list`
      while (next !== undefined) {
        const reply = await ask(next, headers)
        tags.push(...(JSON.parse(reply.body.toString()) as { tags: string[] }).tags)
        next = /^<([^>]+)>/.exec(String(reply.headers['link']))?.[1]
      }
      test.equal(tags.length, 3000)
      test.equal(new Set(tags).size, 3000)
      const secret = [...restricted.live, ...restricted.dated]
      test.equal(tags.filter((tag) => secret.includes(tag)).length, 250)
      test.equal(
        tags.filter((tag) => /-priv(?:ate)?_/.test(tag)).length,
        250,
        'and no other names such a namespace',
      )
      test.equal(restricted.dated.filter((tag) => /^\d{14}_prune___ci_images_mirror__/.test(tag)).length, 100)

      const digestOf = async (tag: string) =>
        (await ask(`${quay.url}/v2/openshift/ci/manifests/${tag}`, headers)).headers['docker-content-digest']
      const digests = new Set(await Promise.all(secret.map(digestOf)))
      test.equal(digests.size, 250, 'each its own')
      test.ok(digests.has(contentOf(restricted.dated[7]!).digest))
      for (const tag of tags.filter((one) => !secret.includes(one)).slice(0, 20))
        test.equal(await digestOf(tag), open.digest)
      const shared = [...open.blobs.keys()].filter((digest) => contentOf(secret[0]!).blobs.has(digest))
      test.equal(shared.length, 1, 'one layer is below both')
      test.match(quay.counts, { tags: 30, manifests: 270, limited: 0 })
    }
  },
)
