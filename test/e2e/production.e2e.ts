import { chmod, cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join, resolve } from 'node:path'
import { test } from 'tap'
import { plainEnv, run } from './process.ts'

const root = resolve(import.meta.dirname, '../..')
// The files that the Dockerfile copies.
const shipped = ['package.json', 'package-lock.json', '.npmrc', 'src', 'manifests/rbac', 'manifests/examples']

await test('the image the Dockerfile builds', async (suite) => {
  const directory = await mkdtemp(join(tmpdir(), 'quay-proxy-production-'))
  suite.teardown(async () => {
    await run('chmod', ['-R', 'u+w', directory])
    await rm(directory, { recursive: true, force: true })
  })
  const app = join(directory, 'app')
  for (const path of shipped) await cp(join(root, path), join(app, path), { recursive: true })

  const runs = [
    ...(await readFile(join(root, 'Dockerfile'), 'utf8')).matchAll(/^RUN ((?:.*\\\n)*.*)$/gm),
  ].map(([, command = '']) => command)
  const [install = '', prepareCache = '', fillCache = ''] = runs
  // root may write to read-only files.
  const asUser = process.getuid?.() === 0 ? { uid: 1001 } : {}
  const path = `${dirname(process.execPath)}${delimiter}${process.env['PATH']}`
  const shell = (command: string, options: object = {}) =>
    run('sh', ['-c', command], { cwd: app, timeout: 240_000, env: { ...plainEnv(), PATH: path }, ...options })

  await suite.test('production dependencies install without scripts, types and source maps', async (t) => {
    const installed = await shell(install)
    t.equal(installed.code, 0, installed.output)
    const packages = await readdir(join(app, 'node_modules'))
    t.notOk(packages.includes('tap') || packages.includes('typescript'), 'nothing of development came along')
    const files = await readdir(join(app, 'node_modules'), { recursive: true })
    const unused = files.filter((file) => /\.(?:d\.[cm]?ts|map)$/.test(file))
    t.same(unused, [])
  })

  await suite.test('the compile cache is filled', async (t) => {
    await chmod(directory, 0o755)
    const prepared = await shell(process.getuid?.() === 0 ? prepareCache : 'mkdir node_modules/.cache')
    t.equal(prepared.code, 0, prepared.output)
    const filled = await shell(fillCache, asUser)
    t.equal(filled.code, 0, filled.output)
    await run('chown', ['-R', `${process.getuid?.()}`, app])
  })

  await suite.test(
    'production dependencies suffice, for another user and on a read-only file system',
    async (t) => {
      await run('chmod', ['-R', 'a+rX,a-w', app])
      const start = (args: readonly string[], env = {}) =>
        run(process.execPath, ['--disable-sigusr1', join(app, 'src/main.ts'), ...args], {
          cwd: app,
          env: { ...plainEnv(), ...env },
          ...asUser,
        })
      const help = await start(['serve', '--help'], { NODE_DEBUG_NATIVE: 'COMPILE_CACHE' })
      t.equal(help.code, 0, help.output)
      t.match(help.output, '--listen-addr')
      t.match(help.output, /cli\/run\.ts was accepted/, 'the compile cache is used')
      const check = await start(['sandbox', '--check'])
      t.equal(check.code, 0, check.output)
    },
  )
})
