import { chmod, cp, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { test } from 'tap'
import { run } from './process.ts'

const root = resolve(import.meta.dirname, '../..')
// what the Dockerfile copies
const shipped = ['package.json', 'package-lock.json', '.npmrc', 'src', 'manifests/rbac', 'manifests/examples']

await test('the image the Dockerfile builds', async (suite) => {
  const directory = await mkdtemp(join(tmpdir(), 'quay-proxy-production-'))
  suite.teardown(async () => {
    await run('chmod', ['-R', 'u+w', directory])
    await rm(directory, { recursive: true, force: true })
  })
  const app = join(directory, 'app')
  for (const path of shipped) await cp(join(root, path), join(app, path), { recursive: true })

  await suite.test('production dependencies install without scripts', async (t) => {
    const install = await run('npm', ['ci', '--omit=dev', '--ignore-scripts'], {
      cwd: app,
      timeout: 240_000,
    })
    t.equal(install.code, 0, install.output)
    const installed = await readdir(join(app, 'node_modules'))
    t.notOk(
      installed.includes('tap') || installed.includes('typescript'),
      'nothing of development came along',
    )
  })

  await suite.test(
    'production dependencies suffice, for another user and on a read-only file system',
    async (t) => {
      await chmod(directory, 0o755)
      await run('chmod', ['-R', 'a+rX,a-w', app])
      // root may write to what is read-only
      const asUser = process.getuid?.() === 0 ? { uid: 1001 } : {}
      const start = (...args: string[]) =>
        run(process.execPath, [join(app, 'src/main.ts'), ...args], { cwd: app, ...asUser })
      const help = await start('--help')
      t.equal(help.code, 0, help.output)
      t.match(help.output, '--listen-addr')
      const check = await start('sandbox', '--check')
      t.equal(check.code, 0, check.output)
    },
  )
})
