import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { ReleaseCheckout } from '../../../src/mirror/distributor/release-checkout.ts'

const never = new AbortController().signal
const config = (tag: string) => `base_images: {x: {namespace: a, name: b, tag: ${tag}}}`

const write = (root: string, files: Readonly<Record<string, string>>): void => {
  for (const folder of ['config', 'step-registry'])
    mkdirSync(join(root, 'ci-operator', folder), { recursive: true })
  for (const [name, text] of Object.entries(files)) {
    const path = join(root, 'ci-operator', name)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text)
  }
}
const started = (test: Test, files: Readonly<Record<string, string>> = {}, bounds = {}) => {
  const folder = test.testdir({})
  write(join(folder, 'one'), files)
  const link = join(folder, 'release')
  symlinkSync('one', link)
  const checkout = new ReleaseCheckout(link, bounds)
  const tags = async () => [...(await checkout.read(never)).inputs.tags].toSorted()
  /** As git-sync does it. */
  const swap = (name: string, next: Readonly<Record<string, string>>) => {
    write(join(folder, name), next)
    symlinkSync(name, join(folder, 'next'))
    renameSync(join(folder, 'next'), link)
  }
  return { folder, link, checkout, tags, swap }
}

await t.test('configurations and the step registry below a checkout that is swapped', async (t) => {
  const { checkout, tags, swap } = started(t, {
    'config/o/r/o-r-main.yaml': config('1'),
    'config/o/r/o-s-main.yaml': 'tests: [{steps: {test: [{ref: deep}]}}]',
    'config/o/OWNERS': config('owners'),
    'step-registry/a/b/c-ref.yml': 'ref: {as: deep, from_image: {namespace: a, name: b, tag: deep}}',
    'jobs/x.yaml': config('job'),
  })
  t.equal(await checkout.isReplaced(), true, 'not read yet')
  t.strictSame(await tags(), ['a/b:1', 'a/b:deep'])
  t.equal(await checkout.isReplaced(), false)
  swap('two', { 'config/o/r/o-r-main.yaml': config('1'), 'config/o/r/o-t-main.yaml': config('2') })
  t.equal(await checkout.isReplaced(), true)
  t.strictSame(await tags(), ['a/b:1', 'a/b:2'])
})

await t.test('files that cannot be used are named, and the others count', async (t) => {
  const { checkout } = started(
    t,
    {
      'config/bad.yaml': 'a: [',
      'config/large.yaml': `# ${'x'.repeat(500)}`,
      'config/good.yaml': config('1'),
    },
    { fileBytes: 400 },
  )
  const { inputs, files, problems } = await checkout.read(never)
  t.strictSame([...inputs.tags], ['a/b:1'])
  t.equal(files, 3)
  t.match(problems.toSorted(), [
    /^ci-operator\/config\/bad.yaml is not YAML: /,
    'ci-operator/config/large.yaml has more than 400 bytes',
  ])
})

await t.test('attack: links, and more than the bounds', async (t) => {
  const { folder, link, tags } = started(t, { 'config/good.yaml': config('1') })
  writeFileSync(join(folder, 'outside.yaml'), config('outside'))
  symlinkSync(join(folder, 'outside.yaml'), join(link, 'ci-operator/config/link.yaml'))
  t.strictSame(await tags(), ['a/b:1'])
  await t.rejects(new ReleaseCheckout(link, { files: 0 }).read(never), /has more than 0 files/)
  await t.rejects(new ReleaseCheckout(link, { allBytes: 10 }).read(never), /has more than 10 bytes/)
})

await t.test('no checkout, and a reading that is ended', async (t) => {
  const { folder, link, checkout } = started(t, { 'config/good.yaml': config('1') })
  await t.rejects(checkout.read(AbortSignal.abort(new Error('ended'))), /ended/)
  await checkout.read(never)
  rmSync(link)
  t.equal(await checkout.isReplaced(), false, 'there is nothing new to read')
  await t.rejects(checkout.read(never), /ENOENT/)
  mkdirSync(join(folder, 'release'))
  t.equal(await checkout.isReplaced(), true)
  await t.rejects(checkout.read(never), /ENOENT/)
})
