/** Debian's docker-registry (CNCF distribution 2.8) as a pull-through cache on a disk, without a login. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort } from '../../e2e/process.ts'
import { accepts, start, type Running } from '../system/processes.ts'

export interface DockerRegistryOptions {
  readonly directory: string
  readonly name: string
  readonly upstream: string
  /** The robot that it logs in as at upstream. */
  readonly robot?: { readonly username: string; readonly password: string }
  /** PEM files of its own certificate. */
  readonly tls?: { readonly cert: string; readonly key: string }
}

export interface DockerRegistry extends Running {
  readonly url: string
}

export const startDockerRegistry = async (options: DockerRegistryOptions): Promise<DockerRegistry> => {
  const { directory, name, upstream, robot, tls } = options
  const port = await freePort()
  const file = join(directory, `${name}.yml`)
  const settings = {
    version: 0.1,
    log: { level: 'error', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(directory, name) }, delete: { enabled: true } },
    http: {
      addr: `127.0.0.1:${port}`,
      ...(tls === undefined ? {} : { tls: { certificate: tls.cert, key: tls.key } }),
    },
    proxy: { remoteurl: upstream, ...robot },
  }
  // JSON is YAML.
  await writeFile(file, JSON.stringify(settings), { mode: 0o600 })
  const ready = async () => await accepts(port)
  const running = await start('docker-registry', ['serve', file], { directory, name, ready })
  return { ...running, url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}` }
}
