import { mkdirSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { validateConfig } from '../../../src/mirror/commands/validate.ts'
import { supplemental } from '../validation/entries.ts'
import { putImage, tag } from '../../support/image-fixtures.ts'
import { startedCommand } from './commands.ts'

await t.test('the report and the exit code', async (t) => {
  const { io, output, args, folder } = await startedCommand(t, supplemental({ 'a/b:c': 'fedora' }))
  t.equal(await validateConfig(args('validate'), io), 1)
  t.match(output, [/:2:3: error: source image docker\.io\/library\/fedora:latest is from docker\.io/])
  const { config } = args('validate')
  t.equal(await validateConfig(args('validate', `--base=${config}`), io), 0)
  mkdirSync(`${folder}/ci-operator/config`, { recursive: true })
  t.equal(await validateConfig(args('validate', `--release-repo-git-sync-path=${folder}`), io), 1)
  writeFileSync(`${folder}/ci-operator/config/x.yaml`, 'promotion: {')
  await t.rejects(validateConfig(args('validate', `--release-repo-git-sync-path=${folder}`), io), {
    message: /ci-operator\/config: x.yaml:1:13: this is not YAML/,
  })
  t.equal(await validateConfig({ ...args('validate'), config: folder }, io), 1)
  await t.rejects(
    validateConfig(args('validate', '--release-repo-git-sync-path=/nothing'), io),
    /does not exist/,
  )
})

await t.test('against the registries: missing sources, with their position', async (t) => {
  const config = supplemental({
    'a/here:1': 'quay.io/a/b:v1',
    'a/none:1': 'quay.io/a/b:v2',
    'a/hub:1': 'fedora',
  })
  const { registry, io, output, errors, args, folder } = await startedCommand(t, config)
  const source = registry.repository('a/b')
  tag(source, 'v1', putImage(source, 'x'))
  t.equal(await validateConfig(args('validate', '--online'), io), 1)
  t.match(output.splice(0).join(), /:3:3: error: source image quay\.io\/a\/b:v2 does not exist; push it/)
  t.strictSame(errors.splice(0), ['2 of 2 sources read'])
  t.ok(registry.requests.every(({ path }) => !path.includes('fedora')))
  // Only the problems that a change adds.
  writeFileSync(`${folder}/base`, supplemental({ 'a/none:1': 'quay.io/a/b:v2', 'a/hub:1': 'fedora' }))
  registry.requests.length = 0
  t.equal(await validateConfig(args('validate', '--online', `--base=${folder}/base`), io), 0)
  t.ok(registry.requests.length > 0 && registry.requests.every(({ path }) => !path.endsWith('manifests/v2')))
  t.ok(registry.requests.every(({ method }) => method === 'GET' || method === 'HEAD'))
})

await t.test('a deadline for all registries together', async (t) => {
  const names = Array.from({ length: 20 }, (_, index) => [`a/b:${index}`, `quay.io/a/b:${index}`])
  const { registry, io, output, args } = await startedCommand(t, supplemental(Object.fromEntries(names)))
  // Each pauses for longer than the deadline.
  registry.fault = () => ({ status: 429, headers: { 'retry-after': '3600' } })
  t.equal(await validateConfig(args('validate', '--online', '--online-timeout=1s', '--format=json'), io), 1)
  const { problems } = JSON.parse(`${output[0]}`) as { readonly problems: readonly { message: string }[] }
  t.equal(problems.length, 20)
  t.ok(problems.every(({ message }) => message.endsWith('was not read before the deadline')))
  t.ok(registry.requests.length <= 8, `${registry.requests.length} requests`)
})
