import t from 'tap'
import { mirrorsPageOf, type MirrorsContent } from '../../../src/page/mirror-queue/mirrors-document.ts'
import { image, queue, task } from './fake-mirror.ts'

const frame = { exposed: new URL('https://proxy.example'), helpUrl: undefined }
const page = (more: Partial<MirrorsContent> = {}) =>
  mirrorsPageOf(frame, {
    fields: { target: '', state: '', owner: '', limit: '' },
    acceptsToken: true,
    requestId: 'the-id',
    ...more,
  }).replaceAll(/\s+/g, ' ')

await t.test('the form', async (test) => {
  const text = page({ fields: { target: '"><script>', state: 'dead', owner: '', limit: '' } })
  test.match(text, '<form method="post" action="/mirrors">')
  test.match(text, 'value="&quot;&gt;&lt;script&gt;"')
  test.match(text, 'value="dead"')
  test.match(text, /name="token" type="password" required/)
  test.match(text, '<title>Mirror - proxy.example</title>')
  test.match(text, 'Request id the-id')
  const open = page({ acceptsToken: false, queue, failure: { heading: 'No answer', sentence: 'No <b>.' } })
  test.notMatch(open, '<form')
  test.notMatch(open, '<button')
  test.match(open, 'Open https://proxy.example/mirrors.')
  test.match(open, 'No &lt;b&gt;.')
})

await t.test('the queue is a table, whose texts are escaped', async (test) => {
  const failing = { ...task, target: 'a/b:c', failures: 3, last_error: '<img src=x>', state: '<i>' }
  const text = page({ queue: { mirrors: [task, failing], total: 7 } })
  test.match(text, '<h2>7 images in the queue</h2>')
  test.match(text, '<th scope="row" role="rowheader">ocp/ubi:9</th>')
  test.match(text, '&lt;img src=x&gt;')
  test.match(text, '&lt;i&gt;, 3 failures')
  test.match(text, '<button name="sync" value="a/b:c" aria-label="Sync a/b:c">Sync</button>')
  test.match(
    page({ queue: { mirrors: null, total: 1 } }),
    /<h2>1 image in the queue<\/h2> <p>None of them is selected/,
  )
})

await t.test('one image, before and after a sync', async (test) => {
  const text = page({ image })
  test.match(text, 'class="verdict allowed"')
  test.match(text, image.explanation)
  test.match(text, '<dt>copied at</dt> <dd>2026-11-01T12:00:00.000Z</dd>')
  test.notMatch(text, '<dt>digest</dt>')
  test.match(text, 'value="ocp/ubi:9" aria-label="Sync ocp/ubi:9"')
  const synced = page({ image: { ...image, state: 'waiting' }, isSynced: true, acceptsToken: false })
  test.match(synced, 'It was compared now, and is copied if it differs.')
  test.notMatch(synced, 'verdict allowed')
})
