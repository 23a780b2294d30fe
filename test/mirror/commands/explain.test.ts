import t from 'tap'
import { explainImage } from '../../../src/mirror/commands/explain.ts'
import { putImage, tag } from '../../support/image-fixtures.ts'
import { listening } from '../service/listening.ts'
import { startedService } from '../service/services.ts'
import { until } from '../../support/until.ts'
import { supplemental } from '../validation/entries.ts'
import { startedCommand } from './commands.ts'

const config = supplemental({ 'a/b:c': 'quay.io/a/b:c', 'a/b:hub': 'fedora' })

await t.test('without a service, it reads the registries itself', async (t) => {
  const { registry, io, output, errors, args } = await startedCommand(t, config)
  t.equal(await explainImage(args('explain', 'a/b:c'), io), 1)
  t.match(output.splice(0), [/\nstate {10}missing\n[^]*\nThe source does not exist: quay\.io\/a\/b:c\.$/])
  const digest = putImage(registry.repository('a/b'), 'x')
  tag(registry.repository('a/b'), 'c', digest)
  t.equal(await explainImage(args('explain', 'a/b:c'), io), 1)
  tag(registry.repository('openshift/ci'), 'a_b_c', putImage(registry.repository('openshift/ci'), 'x'))
  t.equal(await explainImage(args('explain', 'a/b:c'), io), 0)
  t.equal(await explainImage(args('explain', 'a/b:hub'), io), 1)
  t.match(output, [/differs from/, /is the image of/, /It is left out: .*docker\.io/])
  t.equal(await explainImage(args('explain', 'a/b:d'), io), 1)
  t.match(errors, [/^a\/b:d is not in the configuration.*; did you mean a\/b:c\?\.$/])
})

await t.test('with a service, it sends a request to it', async (t) => {
  const { registry, service } = await startedService(t, { 'a/b:c': 'quay.io/a/b:c' })
  tag(registry.repository('a/b'), 'c', putImage(registry.repository('a/b'), 'x'))
  service.start()
  await until(() => service.images()[0]?.copiedAt !== undefined)
  const { io, output, errors, args } = await startedCommand(t, '')
  const url = `--url=${await listening(t, service)}`
  t.equal(await explainImage(args('explain', 'a/b:c', url), io), 0)
  t.match(output, [/^image {10}a\/b:c\n[^]*\ncopied {9}20/])
  t.equal(await explainImage(args('explain', 'a/b:d', url), io), 1)
  t.match(errors, [/did you mean/])
})
