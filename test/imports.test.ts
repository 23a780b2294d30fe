/**
 * The house as a failing test: which folder may import from which, and that no two files import each other in a circle.
 */
import { readFileSync, globSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import t from 'tap'

/** Downward only. A file at the root of src is named by itself; a folder by its name. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  'main.ts': ['config', 'audit', 'access', 'logging.ts', 'proxy.ts', 'sandbox'],
  sandbox: ['proxy.ts', 'config', 'logging.ts', 'access'],
  'ending.ts': [],
  'proxy.ts': [
    'ending.ts',
    'parts.ts',
    'proxy',
    'server.ts',
    'health.ts',
    'warm-up.ts',
    'config',
    'logging.ts',
  ],
  'warm-up.ts': ['kubernetes', 'quay', 'logging.ts'],
  'parts.ts': [
    'proxy',
    'known-digests.ts',
    'server.ts',
    'config',
    'registry',
    'access',
    'kubernetes',
    'quay',
    'shared-state',
    'logging.ts',
    'metrics.ts',
  ],
  proxy: [
    'known-digests.ts',
    'config',
    'registry',
    'access',
    'kubernetes',
    'quay',
    'shared-state',
    'secrets',
    'oci',
    'logging.ts',
    'metrics.ts',
    'source-metrics.ts',
    'watched-files.ts',
    'reference.ts',
    'errors.ts',
  ],
  'known-digests.ts': [
    'watched-claims.ts',
    'access',
    'digests',
    'kubernetes',
    'shared-state',
    'logging.ts',
    'metrics.ts',
    'reference.ts',
  ],
  'watched-claims.ts': ['digests', 'kubernetes', 'logging.ts', 'metrics.ts', 'reference.ts'],
  'server.ts': [
    'config',
    'registry',
    'health.ts',
    'observation.ts',
    'unreadable.ts',
    'overload.ts',
    'pipelining.ts',
    'stalled-clients.ts',
    'limits.ts',
    'server',
    'logging.ts',
    'metrics.ts',
    'errors.ts',
  ],
  server: ['ip-address.ts', 'concurrency', 'registry', 'logging.ts', 'errors.ts'],
  'ip-address.ts': [],
  'health.ts': [],
  'unreadable.ts': ['errors.ts'],
  'overload.ts': ['server', 'errors.ts'],
  'pipelining.ts': [],
  'stalled-clients.ts': [],
  'limits.ts': [],
  'observation.ts': ['server', 'audit', 'access', 'logging.ts', 'metrics.ts', 'errors.ts', 'reference.ts'],
  audit: ['access'],
  config: ['logging.ts', 'secrets', 'watched-files.ts'],
  registry: ['access', 'concurrency', 'ip-address.ts', 'oci', 'secrets', 'reference.ts', 'errors.ts'],
  access: ['digests', 'oci', 'reference.ts'],
  digests: ['concurrency', 'oci', 'reference.ts'],
  kubernetes: ['access', 'concurrency', 'ip-address.ts', 'breaker.ts', 'reference.ts', 'errors.ts'],
  quay: ['concurrency', 'oci', 'secrets', 'breaker.ts', 'reference.ts', 'errors.ts'],
  concurrency: [],
  secrets: [],
  'shared-state': ['access', 'breaker.ts', 'concurrency', 'digests', 'reference.ts'],
  'reference.ts': ['oci', 'errors.ts'],
  oci: [],
  'logging.ts': ['telemetry'],
  telemetry: [],
  'metrics.ts': ['tally.ts', 'telemetry'],
  'source-metrics.ts': ['tally.ts', 'telemetry'],
  'tally.ts': [],
  'watched-files.ts': [],
  'breaker.ts': [],
  'errors.ts': [],
}

const files = globSync('src/**/*.ts').toSorted()
const roomOf = (file: string): string => file.split('/')[1] ?? ''

const importsOf = (file: string): string[] =>
  [
    ...readFileSync(file, 'utf8').matchAll(/(?:^(?:import|export)\s[^'"]*?from\s+|\bimport\()'(\.[^']+)'/gm),
  ].map(([, path = '']) => normalize(join(dirname(file), path)))

await t.test('imports point downward', async (t) => {
  t.ok(files.length > 40)
  for (const file of files) {
    const from = roomOf(file)
    t.ok(allowed[from], `${from} is in the drawing`)
    for (const target of importsOf(file)) {
      const to = roomOf(target)
      if (to !== from) t.ok(allowed[from]?.includes(to), `${file} may import ${target}`)
    }
  }
})

/**
 * Within src/quay: the stages of a pull know nothing of each other, and source.ts alone puts them in their order. Of the files beside
 * the rooms these see into one.
 */
const quayRooms: Readonly<Record<string, readonly string[]>> = {
  'source.ts': ['memory', 'budget', 'trouble', 'robot'],
  'dispatcher.ts': ['robot', 'stream'],
  'hop.ts': ['stream'],
  robot: ['trouble'],
}

await t.test('the rooms of quay see what is beside them, and not each other', async (t) => {
  const within = files.filter((file) => roomOf(file) === 'quay')
  t.ok(within.length > 40)
  const placeOf = (file: string) => file.split('/').slice(2)
  for (const file of within) {
    const [from = ''] = placeOf(file)
    for (const target of importsOf(file).filter((path) => roomOf(path) === 'quay')) {
      const [to = '', isRoom] = placeOf(target)
      if (isRoom !== undefined && to !== from)
        t.ok(quayRooms[from]?.includes(to), `${file} may import ${target}`)
    }
  }
})

await t.test('no file imports itself over others', async (t) => {
  const visiting: string[] = []
  const done = new Set<string>()
  const circles: string[] = []
  const visit = (file: string): void => {
    if (done.has(file)) return
    if (visiting.includes(file)) {
      circles.push([...visiting.slice(visiting.indexOf(file)), file].join(' -> '))
      return
    }
    visiting.push(file)
    importsOf(file).forEach(visit)
    visiting.pop()
    done.add(file)
  }
  files.forEach(visit)
  t.same(circles, [])
})

await t.test('only main.ts touches the process', async (t) => {
  const touching = files.filter((file) =>
    /\bprocess\.(?:env|argv|exit|on|stdout|stderr)\b/.test(readFileSync(file, 'utf8')),
  )
  t.same(touching, ['src/main.ts'])
})

await t.test('the registry sees kubernetes and quay as function types, the policy does no I/O', async (t) => {
  const packages = (folder: string) =>
    files
      .filter((file) => roomOf(file) === folder)
      .flatMap((file) =>
        [...readFileSync(file, 'utf8').matchAll(/from '([^.'][^']*)'/g)].map(([, name]) => name),
      )
  t.notOk(packages('registry').some((name) => name === 'undici' || name === '@kubernetes/client-node'))
  // It waits before a refusal, and remembers where people were let in.
  t.same([...new Set(packages('access'))], ['lru-cache', 'node:timers/promises'])
})

await t.test('every import of a package is a declared dependency', async (t) => {
  const { dependencies } = JSON.parse(readFileSync('package.json', 'utf8')) as {
    dependencies: Record<string, string>
  }
  const used = files.flatMap((file) =>
    [...readFileSync(file, 'utf8').matchAll(/from '([^.'][^']*)'/g)].map(([, name = '']) => name),
  )
  const external = [...new Set(used.filter((name) => !name.startsWith('node:')))].toSorted()
  t.same(external, Object.keys(dependencies).toSorted())
})
