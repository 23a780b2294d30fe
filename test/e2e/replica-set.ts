/** Three proxies behind a load balancer, with shared services: app.ci, a store, and Debian's docker-registry as quay. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { randomBytes } from 'node:crypto'
import type { Test } from 'tap'
import { startApiServer, type ApiServer, type User } from './api-server.ts'
import { startBalancer, type Balancer } from './balancer.ts'
import { answers, freePort, startService, type Service } from './process.ts'
import { createPromotion, type Promotion } from './promotion.ts'
import { startRedis, type RedisServer } from './redis-server.ts'
import { startRegistry } from './registry.ts'
import { promoter, robot, root, type Workplace } from './stack.ts'
import { createTokenRealm } from './token-realm.ts'

export type ReplicaSet = Workplace & {
  api: ApiServer
  redis: Omit<RedisServer, 'cli'> & {
    /** The output of redis-cli, logged in. */
    cli: (...args: string[]) => Promise<string>
  }
  promotion: Promotion
  balancer: Balancer
  /** host:port of each proxy. */
  proxies: readonly string[]
  /** Restarts the proxies one after the other, as a Deployment does: the next one when this one is ready. */
  rollingRestart: () => Promise<void>
  /** The exit codes of all running proxies. */
  stopProxies: () => Promise<readonly (number | null)[]>
  /** The logs of all proxies, also of those that have ended. */
  log: () => string
}

const repository = 'openshift/ci'

const startStore = async (directory: string, password: string): Promise<ReplicaSet['redis']> => {
  const redis = await startRedis(directory, (port) => ['--port', String(port), '--requirepass', password])
  return { ...redis, cli: async (...args) => await redis.cli('--no-auth-warning', '-a', password, ...args) }
}

/** @param prepare pushes images before the first proxy starts: a repository without a tag cannot be listed */
export const startReplicas = async (
  t: Test,
  users: readonly User[],
  flags: readonly string[],
  prepare: (promotion: Promotion) => Promise<unknown>,
) => {
  const disposers = new AsyncDisposableStack()
  t.teardown(() => disposers.disposeAsync())
  const directory = await mkdtemp(join(tmpdir(), 'qp-e2e-'))
  disposers.defer(() => rm(directory, { recursive: true, force: true }))
  const scratch = async (name: string) => {
    const path = join(directory, name)
    await mkdir(path)
    return path
  }
  const api = await startApiServer(users)
  disposers.defer(api.close)
  const storePassword = randomBytes(16).toString('hex')
  const redis = await startStore(await scratch('redis'), storePassword)
  disposers.defer(redis.stop)
  const registry = await startRegistry(directory, await createTokenRealm(directory, [robot, promoter]))
  disposers.defer(registry.stop)
  const promotion = await createPromotion(registry, promoter, repository)
  await prepare(promotion)

  const secrets = {
    'robot-username': robot.username,
    'robot-password': robot.password,
    'token-secret': randomBytes(32).toString('hex'),
    'store-password': `${storePassword}\n`,
    kubeconfig: await api.kubeconfig(),
  }
  for (const [name, secret] of Object.entries(secrets))
    await writeFile(join(directory, name), secret, { mode: 0o600 })
  const hosts = await Promise.all(
    [freePort(), freePort(), freePort()].map(async (port) => `127.0.0.1:${await port}`),
  )
  const balancer = await startBalancer(directory, hosts)
  disposers.defer(balancer.stop)

  const services: Service[] = []
  const startProxy = async (host: string): Promise<Service> => {
    const args = [
      `--listen-addr=${host}`,
      `--exposed-url=http://${balancer.host}`,
      `--upstream=${registry.url}`,
      `--upstream-repository=${repository}`,
      '--upstream-limits=none',
      '--robot-username-file=robot-username',
      '--robot-password-file=robot-password',
      '--token-secret-file=token-secret',
      '--kubeconfig=kubeconfig',
      `--shared-state=redis://127.0.0.1:${redis.port}`,
      '--shared-state-password-file=store-password',
      '--grace-period=2s',
      ...flags,
    ]
    const service = await startService(
      process.execPath,
      [join(root, 'bin/quay-proxy.js'), 'serve', ...args],
      () => answers(`http://${host}/readyz`, 200),
      { cwd: directory, patience: 60_000 },
    )
    disposers.defer(async () => void (await service.stop()))
    services.push(service)
    return service
  }
  const running = await Promise.all(hosts.map(startProxy))

  const replicas: ReplicaSet = {
    host: balancer.host,
    directory,
    scratch,
    defer: (dispose) => disposers.defer(async () => void (await dispose())),
    api,
    redis,
    promotion,
    balancer,
    proxies: hosts,
    rollingRestart: async () => {
      for (const [number, host] of hosts.entries()) {
        // As in a cluster, the load balancer learns of it while the proxy ends.
        const ending = running[number]!.stop()
        await balancer.use(hosts.filter((other) => other !== host))
        const code = await ending
        t.equal(code, 0, `replica ${number} ends cleanly`)
        running[number] = await startProxy(host)
        await balancer.use(hosts)
      }
    },
    stopProxies: async () => await Promise.all(running.map(async (service) => await service.stop())),
    log: () => services.map((service) => service.output()).join(''),
  }
  return replicas
}
