import t from 'tap'
import { MirrorLog } from '../../../src/mirror/service/mirror-log.ts'
import type { DesiredImage } from '../../../src/mirror/plan/desired.ts'
import { undocumentedIn } from '../../support/log-fields.ts'
import { memoryLog } from './services.ts'

const image: DesiredImage = {
  target: 'a/b:c',
  float: 'a_b_c',
  source: { registry: 'quay.io', repository: 'a/b', tag: 'c', digest: undefined },
}

await t.test('events that are logged once, and events of each pass', async (t) => {
  const { logger, lines, messages } = memoryLog()
  const log = new MirrorLog(logger)
  const desired = { images: [], leftOut: [{ ...image, reason: 'it is ignored: broken' }] }
  for (let pass = 0; pass < 3; pass++) log.pass({ what: 'desired', desired, problem: 'app.ci is slow' })
  t.strictSame(messages(), ['Ignored source', 'Part of the list of images cannot be read'])
  t.match(lines, [{ reason: 'a/b:c: it is ignored: broken' }, { problem: 'app.ci is slow', level: 'warn' }])
  lines.length = 0
  log.pass({ what: 'desired', desired, problem: undefined })
  log.pass({ what: 'desired', desired, problem: 'app.ci is slow' })
  t.strictSame(messages(), ['Part of the list of images cannot be read'])
})

await t.test('an image that cannot be compared, and one that is in sync', async (t) => {
  const { logger, lines } = memoryLog()
  const log = new MirrorLog(logger)
  log.pass({ what: 'found', finding: { image, state: 'unreadable', reason: 'quay.io answers 503' } })
  log.pass({ what: 'found', finding: { image, state: 'same', digest: 'sha256:0' as never } })
  t.match(lines, [
    { msg: 'The image cannot be compared', target: 'a/b:c', reason: 'quay.io answers 503' },
    { msg: 'Image already in sync, skipping', level: 'trace' },
  ])
})

await t.test('every field is in docs/log.md', async (t) => {
  const { logger, lines } = memoryLog()
  const log = new MirrorLog(logger)
  const digest = 'sha256:0' as never
  const copy = { target: 'a/b:c', source: 'quay.io/a/b:c', destination: 'quay.io/openshift/ci:a_b_c' }
  log.begin({ ...copy, digest } as never)
  const status = { ...copy, state: 'dead', failures: 5, lastError: 'quay.io answers 503' }
  log.copy({ what: 'failed', status, milliseconds: 5 } as never)
  log.copy({ what: 'failed', status: { ...status, state: 'waiting' }, milliseconds: 5 } as never)
  const blobs = { mounted: 1, present: 2, uploaded: 3 }
  for (const replaced of [undefined, { digest, pruneTag: 'x' }])
    log.copy({
      what: 'copied',
      target: 'a/b:c',
      result: { blobs, bytes: 5, replaced },
      milliseconds: 5,
    } as never)
  log.pass({ what: 'found', finding: { image, state: 'different', digest, replaced: digest } })
  log.pass({ what: 'found', finding: { image, state: 'different', digest, replaced: digest, isStale: true } })
  log.pass({ what: 'found', finding: { image, state: 'left out', reason: 'the image in QCI is newer' } })
  for (const form of ['manifest v1', 'invalid manifest v2'] as const)
    log.copy({ what: 'unsuitable', image, form, reason: 'it has schema 1' })
  log.pass({ what: 'found', finding: { image, state: 'unreadable', reason: 'quay.io answers 503' } })
  log.pass({ what: 'desired', desired: { images: [], leftOut: [{ ...image, reason: 'x' }] }, problem: 'x' })
  log.pass({ what: 'passed', images: 5, milliseconds: 5 } as never)
  log.pass({ what: 'failed', error: new Error('x') } as never)
  for (const what of ['failed', 'acquired', 'lost']) log.lease({ what, error: new Error('x') } as never)
  log.pass({ what: 'found', finding: { image, state: 'missing' } })
  t.ok(lines.length > 10)
  const skipped = lines.map(({ msg }) => msg).filter((msg) => String(msg).startsWith('Skip '))
  t.strictSame(skipped, [
    'Skip mirroring image with manifest v1',
    'Skip mirroring image with invalid manifest v2',
  ])
  t.strictSame(undocumentedIn(lines), [])
})
