import t from 'tap'
import { syncImage } from '../../../src/mirror/commands/sync.ts'
import { putImage, tag } from '../../support/image-fixtures.ts'
import { listening } from '../service/listening.ts'
import { startedService } from '../service/services.ts'
import { until } from '../../support/until.ts'
import { startedCommand } from './commands.ts'

await t.test('copies an image now, and prints its progress', async (t) => {
  const { registry, service, stored } = await startedService(t, {
    'a/b:c': 'quay.io/a/b:c',
    'a/b:gone': 'quay.io/a/b:gone',
  })
  const { io, output, errors, args } = await startedCommand(t, '')
  const url = `--url=${await listening(t, service)}`
  service.start()
  await until(() => service.images().filter(({ state }) => state === 'missing').length === 2)
  t.equal(await syncImage(args('sync', 'a/b:gone', url), io), 1)
  t.match(output.splice(0), [/The source does not exist/])
  tag(registry.repository('a/b'), 'c', putImage(registry.repository('a/b'), 'x'))
  t.equal(await syncImage(args('sync', 'a/b:c', url), io), 0)
  t.ok(stored.tags.has('a_b_c'))
  t.match(output, [/is the image of/])
  t.match(errors.splice(0)[0], /waits for its turn|is being copied/)
  t.equal(await syncImage(args('sync', 'a/b:x', url), io), 1)
  t.match(errors, [/did you mean/])
  await t.rejects(syncImage(args('sync', 'a/b:c'), io), /--url=http:\/\/HOST:8090/)
})
