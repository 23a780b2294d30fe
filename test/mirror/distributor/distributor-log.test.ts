import t from 'tap'
import { logDistributor } from '../../../src/mirror/distributor/distributor-log.ts'
import { undocumentedIn } from '../../support/log-fields.ts'
import { memoryLog } from '../service/services.ts'

await t.test('the log lines of the watch', async (t) => {
  const { logger, lines, messages } = memoryLog()
  const log = logDistributor(logger)
  log({ what: 'listed', tags: 7 })
  log({ what: 'watch failed', failure: 'list', error: new Error('API server answered 500') })
  log({ what: 'checkout failed', error: new Error('it is gone') })
  log({ what: 'checkout read', files: 3, problems: [] })
  log({
    what: 'checkout read',
    files: 99,
    problems: Array.from({ length: 50 }, (_, index) => `file ${index}`),
  })
  t.strictSame(messages(), [
    'the ImageStreams of app.ci are listed',
    'ImageStream list/watch failed; retrying',
    'The checkout of openshift/release cannot be read',
    'The checkout of openshift/release was read',
    'The checkout of openshift/release was read',
    'Files of the checkout cannot be used: images that they alone name are not mirrored',
  ])
  t.match(lines, [
    { tagCount: 7 },
    { failure: 'list' },
    { err: { message: 'it is gone' } },
    { files: 3 },
    { files: 99 },
    {},
  ])
  t.match(lines.at(-1), { problems: { length: 20 } })
  t.strictSame(undocumentedIn(lines), [])
})
