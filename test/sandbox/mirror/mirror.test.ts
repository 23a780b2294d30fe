import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { mirroredImage, startSandboxMirror } from '../../../src/sandbox/mirror/mirror.ts'
import { startQuay } from '../../../src/sandbox/quay/quay.ts'
import { createLogger } from '../../../src/telemetry/logging.ts'
import { until } from '../../support/until.ts'

const robot = { username: 'reader', password: randomBytes(8).toString('hex') }
const pusher = { username: 'writer', password: randomBytes(8).toString('hex'), mayPush: true }
const { signal } = new AbortController()

await t.test('an image arrives in QCI; the mirror reports it', async (test) => {
  const directory = test.testdir()
  const lines: string[] = []
  const logger = createLogger('info', { write: (line) => void lines.push(line) })
  const qci = await startQuay({ robot, pusher })
  test.teardown(async () => await qci.close())
  const mirror = await startSandboxMirror({ logger, qci, pusher, directory })
  test.teardown(mirror.close)
  test.equal(await mirror.arrived(signal), 'same')
  const told = await fetch(`${mirror.url}/api/v1/mirrors/${mirroredImage.target}`)
  test.match(await told.json(), { target: mirroredImage.target, source: mirroredImage.source, state: 'same' })
  test.ok(qci.requests.some(({ method, url }) => method === 'PUT' && url.endsWith('/manifests/ocp_ubi_9')))
  const path = join(directory, '_config.yaml')
  writeFileSync(path, 'supplementalCIImages: 1\n')
  await until(() => lines.some((line) => line.includes('Failed to reload config')))
  writeFileSync(path, 'supplementalCIImages:\n  ocp/ubi:9:\n    image: docker.io/library/x:1\n')
  await until(() => lines.some((line) => line.includes('The configuration has problems')))
  await mirror.close()
  await test.rejects(fetch(mirror.url))
  for (const secret of [robot.password, pusher.password]) test.notMatch(lines.join(), secret)
})

await t.test(
  'an image that cannot be pushed is reported, and the wait for it can be aborted',
  async (test) => {
    const qci = await startQuay({ robot, pusher })
    test.teardown(async () => await qci.close())
    const mirror = await startSandboxMirror({
      logger: createLogger('silent'),
      qci,
      pusher: robot,
      directory: test.testdir(),
    })
    test.teardown(mirror.close)
    test.not(await mirror.arrived(signal), 'same')
    await test.rejects(mirror.arrived(AbortSignal.abort(new Error('ended'))), { message: 'ended' })
  },
)
