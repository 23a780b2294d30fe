import t from 'tap'
import { MirrorLog } from '../../../src/mirror/service/mirror-log.ts'
import type { DesiredImage } from '../../../src/mirror/plan/desired.ts'
import { memoryLog } from './services.ts'

const image: DesiredImage = {
  target: 'a/b:c',
  float: 'a_b_c',
  source: { registry: 'quay.io', repository: 'a/b', tag: 'c', digest: undefined },
}

await t.test('what is told once, and what at each pass', async (t) => {
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
