import t from 'tap'
import { plan } from '../../../src/mirror/commands/plan.ts'
import { putImage, tag } from '../../support/image-fixtures.ts'
import { supplemental } from '../validation/entries.ts'
import { startedCommand } from './commands.ts'

await t.test('a table, with progress if there are many images', async (t) => {
  const names = Array.from({ length: 100 }, (_, index) => `${index}`)
  const sources = Object.fromEntries(names.map((name) => [`a/b:${name}`, 'quay.io/a/b:c']))
  const { registry, io, output, errors, args } = await startedCommand(t, supplemental(sources))
  t.equal(await plan(args('plan'), io), 1)
  tag(registry.repository('a/b'), 'c', putImage(registry.repository('a/b'), 'x'))
  t.equal(await plan(args('plan'), io), 0)
  t.match(output, [
    /^missing {5}a\/b:0 {3}quay\.io\/a\/b:c does not exist\n/,
    /\n0 of 100 images are up to date$/,
  ])
  t.strictSame(errors, ['100 of 100 images compared', '100 of 100 images compared'])
})
