import t from 'tap'
import { Entry } from '../../../src/mirror/queue/entry.ts'
import { answerMirrors } from '../../../src/mirror/status/mirrors.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import { copyOf } from '../queue/copies.ts'

const rules = {
  backoff: { firstMs: 1, longestMs: 1 },
  maxFailures: { refused: 1, all: 1 },
  random: Math.random,
}
const statuses = ['a/b:c', 'a/b:d', 'a/b:e'].map((target) => {
  const entry = new Entry(copyOf(target))
  if (target === 'a/b:d') entry.fail(new Error('x'), 0, rules)
  return entry.status()
})
const ask = (query: string, all = statuses) => answerMirrors(new URLSearchParams(query), all)
const targetsOf = (query: string): unknown =>
  (ask(query).body as { mirrors: { destination: string }[] | null }).mirrors?.map(({ destination }) =>
    destination.at(-1),
  )

await t.test('without an action, the number of tasks', async (t) => {
  for (const query of ['', 'action=', 'action=summarize'])
    t.strictSame(ask(query), { status: 200, body: { total: 3 } }, query)
})

await t.test('tasks have the fields of the former program, in their order', async (t) => {
  const { body } = ask('action=show')
  t.equal(
    JSON.stringify(body),
    JSON.stringify({
      mirrors: [
        {
          source_tag_ref: { namespace: '', name: '', tag: '' },
          source: 'quay.io/a/b:c',
          destination: 'quay.io/openshift/ci:a_b_c',
          current_quay_digest: '',
          created_at: '2026-01-02T03:04:05.000Z',
          stale: false,
          owner: 'supplementalCIImagesService',
          state: 'waiting',
          target: 'a/b:c',
          failures: 0,
          last_error: '',
        },
      ],
      total: 3,
    }),
  )
})

await t.test('the limit is 1 unless given', async (t) => {
  t.strictSame(targetsOf('action=show'), ['c'])
  t.strictSame(targetsOf('action=show&limit='), ['c'])
  t.strictSame(targetsOf('action=show&limit=%2B2'), ['c', 'd'])
  t.strictSame(targetsOf('action=show&limit=100'), ['c', 'd', 'e'])
  for (const query of ['action=show&limit=0', 'action=show&limit=-1'])
    t.strictSame(ask(query).body, { mirrors: null, total: 3 }, query)
  t.strictSame(ask('action=show', []).body, { mirrors: null, total: 0 })
})

await t.test('filters', async (t) => {
  t.strictSame(targetsOf('action=show&limit=9&state=dead'), ['d'])
  t.match(ask('action=show&state=dead').body, {
    mirrors: [{ failures: 1, last_error: 'unexpected: x' }],
    total: 3,
  })
  t.strictSame(targetsOf('action=show&limit=9&target=a/b:e'), ['e'])
  t.strictSame(targetsOf('action=show&limit=9&owner=supplementalCIImagesService')?.toString(), 'c,d,e')
  t.strictSame(ask('action=show&limit=9&owner=qciToAppCIImages').body, { mirrors: null, total: 3 })
})

await t.test('the owner of an image of app.ci', async (t) => {
  const target = 'registry.ci.openshift.org/ocp/5.0:cli'
  const images = [...statuses, new Entry({ ...copyOf(target), owner: 'qciToAppCIImages' }).status()]
  t.match(ask('action=show&limit=9&owner=qciToAppCIImages', images).body, {
    mirrors: [{ target, owner: 'qciToAppCIImages' }],
    total: 4,
  })
})

await t.test('an image of the watch of all ImageStreams has the fields that it alone fills', async (t) => {
  const replaced = `sha256:${'1'.repeat(64)}` as Digest
  const imageStreamTag = { namespace: 'ocp', name: '4.5', tag: 'cli' }
  const distributed = { imageStreamTag, replaced, isStale: true }
  const owner = 'quay_io_ci_images_distributor'
  const image = new Entry({ ...copyOf('ocp/4.5:cli'), owner, distributed }).status()
  const tasks = { source_tag_ref: imageStreamTag, current_quay_digest: replaced, stale: true, owner }
  t.match(ask(`action=show&owner=${owner}`, [...statuses, image]).body, { mirrors: [tasks], total: 4 })
  const fresh = new Entry({ ...copyOf('ocp/4.5:cli'), distributed: { ...distributed, replaced: undefined } })
  t.match(ask('action=show', [fresh.status()]).body, { mirrors: [{ current_quay_digest: '' }] })
  t.notMatch(JSON.stringify(ask('action=show', [image]).body), 'distributed"')
})

await t.test('errors are text, word for word', async (t) => {
  t.strictSame(ask('action=drop'), { status: 500, body: 'invalid action: drop' })
  for (const text of ['x', '1.5', '1e3', ' 1'])
    t.strictSame(ask(`action=show&limit=${text}`), {
      status: 500,
      body: `strconv.Atoi: parsing "${text}": invalid syntax`,
    })
})
