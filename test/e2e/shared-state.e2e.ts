/** Shared state over a real redis-server, with each failure that a redis-server can have. */
import { readFileSync } from 'node:fs'
import { readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { loadAllYaml, type V1StatefulSet } from '@kubernetes/client-node'
import t, { type Test } from 'tap'
import type { Digest, QciTag } from '../../src/oci/reference.ts'
import { factHashes } from '../../src/shared-state/keys.ts'
import type { Fact } from '../../src/digests/facts.ts'
import { openStoreClient } from '../../src/shared-state/store-client.ts'
import type { StoreStateOptions } from '../../src/shared-state/store-state.ts'
import {
  isReady,
  joinedReplica,
  makeCertificate,
  namesFact,
  someIndex,
  startedReplica,
  storeReplica,
  tagFact,
  until,
} from '../shared-state/support.ts'
import { missing, run } from './process.ts'
import { startRedis, type RedisServer } from './redis-server.ts'

const skip = missing('redis-server', 'redis-cli', 'openssl')

const serve = async (
  test: Test,
  args?: (port: number) => readonly string[],
  directory = test.testdir(),
): Promise<RedisServer> => {
  const server = await startRedis(directory, args)
  test.teardown(async () => await server.stop())
  return server
}

const started = async (
  test: Test,
  { port }: RedisServer,
  options: Partial<StoreStateOptions> = {},
  url = `redis://127.0.0.1:${port}`,
) => {
  return await startedReplica(test, { url: new URL(url) }, options)
}

const joined = async (test: Test, server: RedisServer, options: Partial<StoreStateOptions> = {}) => {
  return await joinedReplica(test, { url: new URL(`redis://127.0.0.1:${server.port}`) }, options)
}

await t.test('all replicas get a fact, later ones too', { skip }, async (test) => {
  const server = await serve(test)
  const [a, b] = [await joined(test, server), await joined(test, server)]
  const facts = [tagFact('base'), tagFact('secret', true), namesFact('base', 7), namesFact('secret', 3, true)]
  await a.learn(...facts)
  test.ok(await b.state.facts.catchUp())
  for (const fact of facts) test.ok(b.knows(fact))
  test.same(b.known.get([...a.known.keys()][0]!), facts[0])
  const late = await joined(test, server)
  for (const fact of facts) test.ok(late.knows(fact))
  await until(() => a.state.status().replicas === 3, 'all are counted')
  await late.state.close()
  await until(async () => (await server.cli('ZCARD', 'quay-proxy:1:replicas')) === '2', 'it is counted out')
})

await t.test('facts arrive without a request', { skip }, async (test) => {
  const server = await serve(test)
  const [a, b] = [
    await joined(test, server, { beatMs: 60_000 }),
    await joined(test, server, { beatMs: 60_000 }),
  ]
  await a.learn(tagFact('base'))
  await until(() => b.knows(tagFact('base')), 'the other one is told', 2000)
  const charges: unknown[] = []
  b.state.failedLogins.onCharge((charge) => charges.push(charge))
  a.state.failedLogins.onCharge(() => test.fail('it is not told of its own'))
  a.state.failedLogins.publish({ address: 'abc', kind: 'address' })
  await until(() => charges.length === 1, 'the charge is told', 2000)
  test.same(charges, [{ address: 'abc', kind: 'address' }])
})

await t.test('the replicas fill an emptied store again', { skip }, async (test) => {
  const server = await serve(test)
  const [a, b] = [await joined(test, server), await joined(test, server)]
  await a.learn(tagFact('base'), namesFact('base'))
  await b.learn(tagFact('secret', true))
  test.ok(await a.state.index.tryLead())
  test.ok(await a.state.index.write(someIndex))
  test.same(await b.state.index.read(), someIndex)
  await server.cli('FLUSHALL')
  test.equal(await b.state.index.read(), undefined, 'the walk begins anew')
  // Facts that are published to the emptied store before a replica notices are not lost either.
  await a.learn(tagFact('after'))
  await until(async () => (await server.cli('HLEN', 'quay-proxy:1:T')) === '1', 'restricted facts are back')
  await until(() => isReady(a) && isReady(b) && b.knows(tagFact('after')), 'both go on')
  const late = await joined(test, server)
  await until(() => late.known.size === 4, 'a fresh one knows all')
})

await t.test('lost restricted facts are noticed and restored', { skip }, async (test) => {
  const server = await serve(test)
  const a = await joined(test, server)
  await a.learn(tagFact('one', true), tagFact('two', true))
  await a.state.index.tryLead()
  await a.state.index.write(someIndex)
  await a.learn(tagFact('three', true))
  test.same(await a.state.index.read(), someIndex)
  await server.cli('DEL', 'quay-proxy:1:T')
  test.equal(await a.state.index.read(), undefined)
  await until(async () => (await server.cli('HLEN', 'quay-proxy:1:T')) === '3', 'they are put back')
})

await t.test('no request waits long for a stopped store', { skip }, async (test) => {
  const server = await serve(test)
  const [a, b] = [await joined(test, server), await joined(test, server)]
  server.signal('SIGSTOP')
  const began = performance.now()
  await a.learn(tagFact('meanwhile'))
  test.ok(performance.now() - began < 1000)
  const asked = performance.now()
  for (let count = 0; count < 200; count += 1) test.notOk(await a.state.facts.catchUp())
  const tookMs = performance.now() - asked
  test.ok(tookMs < 2000, `200 callers waited ${Math.round(tookMs)} ms in all`)
  test.equal(a.state.status().state, 'unavailable')
  await sleep(3000)
  server.signal('SIGCONT')
  await until(() => isReady(a) && isReady(b), 'both are back')
  await until(() => b.knows(tagFact('meanwhile')), 'what was kept is sent')
  test.notOk(
    a.changes.some((change, at) => change === a.changes[at - 1]),
    'each change is told once',
  )
})

await t.test('a store that is killed and comes back empty', { skip }, async (test) => {
  const server = await serve(test)
  const [a, b] = [await joined(test, server), await joined(test, server)]
  await a.learn(tagFact('before'), tagFact('secret', true))
  await server.restart()
  await until(() => isReady(a) && isReady(b), 'both are back')
  await until(async () => (await server.cli('HLEN', 'quay-proxy:1:T')) === '1', 'restricted facts are back')
  const late = await joined(test, server)
  await until(() => late.known.size === 2, 'a fresh one knows all')
})

await t.test('a store that becomes a read-only replica counts as unavailable', { skip }, async (test) => {
  const server = await serve(test)
  const a = await joined(test, server)
  const other = await serve(test)
  await server.cli('REPLICAOF', '127.0.0.1', String(other.port))
  await until(() => a.changes.at(-1)?.startsWith('unavailable'), 'it is unavailable')
  test.notOk(await a.state.facts.catchUp())
  await until(() => a.changes.some((change) => change.includes('read-only replica')), 'the reason is told')
  await server.cli('REPLICAOF', 'NO', 'ONE')
  await until(() => isReady(a), 'it is back')
})

await t.test('a full store is read, and written to once it has room', { skip }, async (test) => {
  const server = await serve(test)
  const [a, b] = [await joined(test, server), await joined(test, server)]
  await until(() => a.state.status().replicas === 2, 'both are counted')
  await a.learn(tagFact('before'))
  await server.cli('CONFIG', 'SET', 'maxmemory', '1')
  await a.learn(tagFact('full'))
  test.ok(await b.state.facts.catchUp(), 'reads go on')
  test.notOk(b.state.facts.isCertain(), 'others may know what they cannot tell')
  await until(() => a.changes.at(-1)?.includes('full'), 'it is told')
  test.equal(a.state.status().state, 'connected')
  test.equal(a.state.status().replicas, 2, 'nobody takes the share of another')
  const bucket = a.state.tokenBucket('full', { perSecond: 100, burst: 1 })
  await until(() => bucket.take(), 'a share is there')
  await server.cli('CONFIG', 'SET', 'maxmemory', '0')
  await until(() => b.knows(tagFact('full')), 'what was kept is sent')
  await until(() => a.changes.at(-1) === 'connected', 'it is told, too')
})

await t.test('the password is read for each connection, and is in no log', { skip }, async (test) => {
  const server = await serve(test, (port) => ['--port', String(port), '--requirepass', 'hunter2'])
  let password = 'wrong1'
  const replica = storeReplica({ url: new URL(`redis://127.0.0.1:${server.port}`), password: () => password })
  test.teardown(async () => await replica.state.close())
  await replica.state.start()
  await until(() => replica.changes.some((change) => change.includes('refuses the login')), 'it is refused')
  password = 'hunter2'
  await until(() => isReady(replica), 'it is let in')
  const none = await started(test, server)
  await until(() => none.changes.some((change) => change.includes('refuses the login')), 'it needs one')
  test.notMatch(JSON.stringify([replica.changes, replica.warnings, none.changes]), /hunter2|wrong1/)
})

await t.test('TLS, verified', { skip }, async (test) => {
  const folder = test.testdir({ data: {} })
  const { cert, key } = makeCertificate(folder, 'DNS:localhost,IP:127.0.0.1')
  const tls = (port: number) => [
    '--port',
    '0',
    '--tls-port',
    String(port),
    '--tls-cert-file',
    cert,
    '--tls-key-file',
    key,
    '--tls-auth-clients',
    'no',
  ]
  const server = await serve(test, tls, join(folder, 'data'))
  const url = new URL(`rediss://127.0.0.1:${server.port}`)
  const trusting = storeReplica({ url, ca: readFileSync(cert, 'utf8') })
  const doubting = storeReplica({ url })
  const plain = storeReplica({ url: new URL(`redis://127.0.0.1:${server.port}`) })
  for (const { state } of [trusting, doubting, plain]) {
    test.teardown(async () => await state.close())
    await state.start()
  }
  await until(() => isReady(trusting), 'it is connected')
  await until(() => doubting.changes.some((change) => /SELF_SIGNED/.test(change)), 'the reason is told')
  await until(() => plain.changes.length > 0, 'plain does not get in')
  test.equal(doubting.state.status().state, 'unavailable')
  test.equal(plain.state.status().state, 'unavailable')
})

const seconds = (since: number): string => ((performance.now() - since) / 1000).toFixed(2)

let digests = 0

/** Facts that are cheap to create, because the test measures the sharing. */
const manyFacts = (count: number, isRestricted: boolean, layers?: number): Fact[] => {
  const digest = () => `sha256:${(digests++).toString(16).padStart(64, '0')}` as Digest
  return Array.from({ length: count }, (_, at) =>
    layers === undefined
      ? {
          kind: 'tag',
          tag: `ocp${isRestricted ? '-priv' : ''}_4.22-art-latest_image-${at}` as QciTag,
          digest: digest(),
          seenAt: Date.now(),
          isRestricted,
        }
      : {
          kind: 'names',
          manifest: digest(),
          manifests: [],
          blobs: Array.from({ length: layers }, digest),
          isRestricted,
        },
  )
}

await t.test('a hundred thousand facts for a fresh replica', { skip }, async (test) => {
  const server = await serve(test)
  const all: Fact[] = []
  const options = { apply: () => undefined, snapshot: () => all, beatMs: 2000 }
  const a = await joined(test, server, options)
  const bytes = async () => Number(/used_memory_dataset:(\d+)/.exec(await server.cli('INFO', 'memory'))![1])
  const client = await openStoreClient({ url: new URL(`redis://127.0.0.1:${server.port}`) }, () => undefined)
  test.teardown(() => client.destroy())
  const held = async () => {
    await sleep(50)
    const sizes = factHashes(Date.now()).map(async ({ key }) =>
      Number(await client.send(['HLEN', key], 10_000)),
    )
    return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
  }
  /** @returns bytes of each fact in the store, without the log, which is bounded */
  const publish = async (facts: readonly Fact[]): Promise<string> => {
    const before = await bytes()
    all.push(...facts)
    for (let at = 0; at < facts.length; at += 1000) await a.state.facts.publish(facts.slice(at, at + 1000))
    await until(async () => (await held()) === all.length, 'all are stored', 60_000)
    await server.cli('XTRIM', 'quay-proxy:1:log', 'MAXLEN', '1')
    return (((await bytes()) - before) / facts.length).toFixed(0)
  }
  const began = performance.now()
  const sizes = [
    `${await publish(manyFacts(40_000, false))} an open tag`,
    `${await publish(manyFacts(10_000, true))} a restricted tag`,
    `${await publish(manyFacts(50_000, false, 10))} a manifest with 10 layers`,
  ]
  test.comment(`published in ${seconds(began)} s; bytes in the store: ${sizes.join(', ')}`)
  test.comment(`${((await bytes()) / 1e6).toFixed(1)} MB in all`)
  let [longestMs, last] = [0, performance.now()]
  const timer = setInterval(() => {
    longestMs = Math.max(longestMs, performance.now() - last - 1)
    last = performance.now()
  }, 1)
  const loadedFrom = async () => {
    let loaded = 0
    const from = performance.now()
    const { state } = await joined(test, server, {
      ...options,
      snapshot: () => [],
      apply: (facts) => void (loaded += facts.length),
    })
    const took = seconds(from)
    await state.close()
    return { loaded, took }
  }
  const { loaded, took } = await loadedFrom()
  clearInterval(timer)
  test.equal(loaded, 100_000)
  test.comment(`loaded in ${took} s, the event loop held for ${longestMs.toFixed(0)} ms at most`)
  await server.cli('FLUSHALL')
  const emptied = performance.now()
  await until(async () => (await held()) === 100_000, 'it is filled again', 60_000)
  test.comment(`emptied and filled again in ${seconds(emptied)} s`)
  test.equal((await loadedFrom()).loaded, 100_000)
})

await t.test('three replicas share one rate limit', { skip }, async (test) => {
  const server = await serve(test)
  const replicas = [await joined(test, server), await joined(test, server), await joined(test, server)]
  const rate = { perSecond: 60, burst: 12 }
  const buckets = replicas.map(({ state }) => state.tokenBucket('manifest', rate))
  const began = performance.now()
  let taken = 0
  let worst = -Infinity
  while (performance.now() - began < 4000) {
    for (const bucket of buckets) while (bucket.take()) taken += 1
    worst = Math.max(worst, taken - rate.burst - (rate.perSecond * (performance.now() - began)) / 1000)
    await sleep(Math.max(1, Math.min(...buckets.map((bucket) => bucket.opensInMs()))))
  }
  test.ok(worst <= 0.5, `never more than the rate (${worst.toFixed(2)})`)
  test.ok(taken > 60 * 4 * 0.7, `nor much less: ${taken} of ${60 * 4 + 12}`)
  test.comment(`${taken} taken of ${60 * 4 + 12} that the rate allows`)
})

await t.test('facts of another program are ignored', { skip }, async (test) => {
  const server = await serve(test)
  await server.cli('HSET', 'quay-proxy:1:T', 'foreign', 'nonsense')
  const a = await joined(test, server)
  test.equal(a.known.size, 0)
  test.match(a.warnings, [/no facts of this version/])
})

await t.test('the store of the manifest, with the secret of README.md', { skip }, async (test) => {
  const folder = test.testdir({ tls: {}, acl: {}, data: {} })
  const root = join(import.meta.dirname, '../..')
  const manifest = await readFile(join(root, 'manifests/components/shared-state/valkey.yaml'), 'utf8')
  const [set] = loadAllYaml(manifest) as [V1StatefulSet]
  const { cert, key } = makeCertificate(join(folder, 'tls'), 'DNS:localhost')
  await rename(cert, join(folder, 'tls/tls.crt'))
  await rename(key, join(folder, 'tls/tls.key'))
  const command = /\$ (openssl rand.*> acl)\n/.exec(await readFile(join(root, 'README.md'), 'utf8'))![1]!
  const made = await run('bash', ['-c', command], { cwd: join(folder, 'acl') })
  test.equal(made.code, 0, 'the secret is made')
  const { args } = set.spec!.template.spec!.containers[0]!
  const server = await serve(
    test,
    (port) =>
      args!.map((arg, at) =>
        args![at - 1] === '--tls-port' ? String(port) : arg.replace('/etc/valkey', folder),
      ),
    join(folder, 'data'),
  )
  const ca = readFileSync(join(folder, 'tls/tls.crt'), 'utf8')
  const password = readFileSync(join(folder, 'acl/password'), 'utf8')
  const url = new URL(`rediss://localhost:${server.port}`)
  const [a, b] = [
    storeReplica({ url, ca, password: () => password }),
    storeReplica({ url, ca, password: () => password }),
  ]
  for (const { state } of [a, b]) {
    test.teardown(async () => await state.close())
    await state.start()
  }
  await until(() => isReady(a) && isReady(b), 'both are let in')
  await a.learn(tagFact('secret', true), tagFact('base'), namesFact('base'))
  test.ok(await b.state.facts.catchUp())
  test.equal(b.known.size, 3)
  test.ok(await a.state.index.tryLead())
  test.ok(await a.state.index.write(someIndex))
  test.same(await b.state.index.read(), someIndex)
  const bucket = a.state.tokenBucket('manifest', { perSecond: 100, burst: 10 })
  await until(() => bucket.take(), 'tokens are leased')
  test.same(a.warnings, [])
  // The command of the liveness probe: any answer over TLS, also a refusal.
  const probe = await run('redis-cli', [
    '-p',
    String(server.port),
    '--tls',
    '--cacert',
    join(folder, 'tls/tls.crt'),
    'ping',
  ])
  test.equal(probe.code, 0)
  test.match(probe.output, /NOAUTH/)
})
