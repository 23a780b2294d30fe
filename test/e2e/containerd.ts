import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run, startService } from './process.ts'
import type { Workplace } from './stack.ts'

// JSON strings are TOML strings
const configuration = (home: string, address: string) => `version = 2
root = ${JSON.stringify(join(home, 'root'))}
state = ${JSON.stringify(join(home, 'state'))}
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[plugins."io.containerd.metadata.v1.bolt"]
content_sharing_policy = "isolated"
[grpc]
address = ${JSON.stringify(address)}
`

/** Without it, ctr speaks plain http to localhost. */
const hostsIn = async (home: string, host: string, certificate: string) => {
  const directory = join(home, 'hosts')
  const [server, ca] = [JSON.stringify(`https://${host}`), JSON.stringify(certificate)]
  await mkdir(join(directory, host), { recursive: true })
  await writeFile(join(directory, host, 'hosts.toml'), `[host.${server}]\nca = ${ca}\n`)
  return directory
}

/**
 * A containerd of this test's own, and its client.
 * @param certificate of a registry that speaks TLS
 */
export const startContainerd = async (stack: Workplace, certificate?: string) => {
  const home = await stack.scratch('containerd')
  const transport =
    certificate === undefined
      ? ['--plain-http']
      : ['--hosts-dir', await hostsIn(home, stack.host, certificate)]
  const registry = (user: string, token: string) => [...transport, '--user', `${user}:${token}`]
  const address = join(home, 'containerd.sock')
  const config = join(home, 'config.toml')
  await writeFile(config, configuration(home, address))
  const ctr = (...args: string[]) => run('ctr', ['--address', address, '--connect-timeout', '2s', ...args])
  const ready = async () => (await ctr('version')).code === 0
  const containerd = await startService('containerd', ['--config', config], ready)
  stack.defer(containerd.stop)
  return {
    /** A new namespace is empty. */
    fetch: (user: string, token: string, image: string, namespace = 'default') =>
      ctr('--namespace', namespace, 'content', 'fetch', ...registry(user, token), `${stack.host}/${image}`),
    pull: (user: string, token: string, image: string) =>
      ctr('images', 'pull', '--snapshotter', 'native', ...registry(user, token), `${stack.host}/${image}`),
    content: async (namespace = 'default') =>
      (await ctr('--namespace', namespace, 'content', 'ls', '--quiet')).stdout.split('\n'),
    images: async () => (await ctr('images', 'ls')).stdout,
  }
}
