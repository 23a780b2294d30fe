import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { test } from 'tap'
import { environmentName, flags } from '../../src/config/flags.ts'
import { parseListenAddress } from '../../src/config/value-parsers.ts'
import { plainNode } from '../support/program.ts'

const root = resolve(import.meta.dirname, '../..')
const read = (name: string) => readFile(join(root, name), 'utf8')

type Instruction = { name: string; value: string }

const parse = (dockerfile: string): Instruction[] =>
  dockerfile
    .replaceAll(/\\\n\s*/g, ' ')
    .split('\n')
    .filter((line) => line.trim() !== '' && !line.startsWith('#'))
    .map((line) => ({ name: line.split(' ', 1)[0] ?? '', value: line.slice(line.indexOf(' ') + 1) }))

const instructions = parse(await read('Dockerfile'))
const values = (name: string, from = instructions) =>
  from.filter((instruction) => instruction.name === name).map(({ value }) => value)
const finalStage = instructions.slice(instructions.findLastIndex(({ name }) => name === 'FROM'))
const copied = values('COPY')
  .filter((value) => !value.startsWith('--from='))
  .flatMap((value) => value.split(' ').slice(0, -1))

await test('every file that is copied exists, and reaches the build', async (t) => {
  const kept = (await read('.dockerignore')).split('\n')
  t.not(copied.length, 0)
  for (const source of copied) {
    t.ok(existsSync(join(root, source)), source)
    t.ok(kept.includes(`!${source.split('/')[0]}`), `${source} is not ignored`)
  }
})

await test('the container runs as an arbitrary user', async (t) => {
  t.same(values('USER', finalStage), ['1001'])
})

await test("the container's command is an existing file", async (t) => {
  const [entrypoint = '[]'] = values('ENTRYPOINT', finalStage)
  const [command, option, file = ''] = JSON.parse(entrypoint) as string[]
  t.equal(command, 'node')
  // Attack: the inspector that Node opens at SIGUSR1 reads every secret.
  t.equal(option, '--disable-sigusr1')
  t.equal(spawnSync(...plainNode(option ?? '', '--version')).status, 0)
  t.match(file, /^\/app\/bin\//)
  t.ok(existsSync(join(root, file.replace('/app/', ''))), file)
})

await test('the container listens on its exposed port, on all addresses', async (t) => {
  const [port = ''] = values('EXPOSE', finalStage)
  t.equal(port, '8400')
  const environment = Object.fromEntries(
    values('ENV', finalStage).map((value) => value.split('=') as [string, string]),
  )
  const address = environment[environmentName('listen-addr')] ?? flags.listen.fallback
  t.same(parseListenAddress(address), { host: '0.0.0.0', port: Number(port) })
  // It would have to know the port and the scheme, which flags change; Kubernetes reads it from no image.
  t.same(values('HEALTHCHECK', finalStage), [])
})

await test('only production dependencies are installed, and none of their scripts runs', async (t) => {
  const [install = '', ...others] = values('RUN')
  t.match(install, /^npm ci --omit=dev --ignore-scripts /)
  t.notMatch(others.join('\n'), /npm (?:ci|install)/)
  t.equal(values('COPY', finalStage).filter((value) => value.startsWith('--from=')).length, 1)
})

await test('the compile cache is filled by the same command as it is read, and nobody can write it', async (t) => {
  const [entrypoint = '[]'] = values('ENTRYPOINT', finalStage)
  const command = (JSON.parse(entrypoint) as string[]).join(' ').replace('/app/', '')
  const build = instructions.slice(0, instructions.indexOf(finalStage[0]!))
  t.match(values('RUN', build).at(-1), `${command} sandbox --check `)
  t.same(values('USER', build), values('USER', finalStage), 'Node.js looks it up by the user')
  t.same(values('WORKDIR', build), values('WORKDIR', finalStage), 'and by the path')
  t.match(values('COPY', finalStage), ['--from=build --chown=0:0 /app ./'])
  const cache = 'node_modules/.cache'
  t.match(values('RUN', build).at(-2), `mkdir ${cache} && chown 1001 ${cache}`)
  t.match(await read('bin/compile-cache.js'), `new URL('../${cache}/quay-proxy', import.meta.url)`)
})

await test('both stages use the base image of the tested release', async (t) => {
  const lock = JSON.parse(await read('package-lock.json')) as {
    packages: Record<string, { version: string }>
  }
  const { version } = lock.packages['node_modules/node']!
  const [base = '', ...others] = values('ARG')
  t.match(
    base.replace(/@sha256:[0-9a-f]{64}$/, ''),
    new RegExp(`^BASE=docker\\.io/library/node:${version}-slim$`),
  )
  t.same(others, [])
  t.same(
    values('FROM').map((value) => value.split(' ', 1).join('')),
    ['${BASE}', '${BASE}'],
  )
})
