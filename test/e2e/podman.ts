import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { plainEnv, run } from './process.ts'
import type { Workplace } from './stack.ts'

export interface PodmanOptions {
  /** The content of registries.conf: the mirrors of a node. */
  readonly registries?: string
  /** The content of the pull secret. */
  readonly auths?: object
  /** Host to the end of the helper's name: the other content of the auth file. */
  readonly credHelpers?: object
  readonly env?: Readonly<Record<string, string>>
  /** The certificate that it trusts; without one, it uses plain http as well. */
  readonly certificate?: string
}

/** A podman with storage and configuration of its own. */
export const isolatedPodman = async (stack: Workplace, name: string, options: PodmanOptions = {}) => {
  const { registries = '', auths, credHelpers, certificate } = options
  // podman accepts no runroot of more than 50 characters.
  const home = await stack.scratch(name)
  const file = (path: string) => join(home, path)
  await writeFile(file('policy.json'), JSON.stringify({ default: [{ type: 'insecureAcceptAnything' }] }))
  await writeFile(file('containers.conf'), '')
  await writeFile(file('registries.conf'), registries)
  await writeFile(file('auth.json'), JSON.stringify({ auths, credHelpers }))
  const env = plainEnv({
    HOME: home,
    XDG_RUNTIME_DIR: home,
    CONTAINERS_CONF: file('containers.conf'),
    CONTAINERS_REGISTRIES_CONF: file('registries.conf'),
    ...(certificate === undefined ? {} : { SSL_CERT_FILE: certificate }),
    ...options.env,
  })
  const global = [
    `--root=${file('root')}`,
    `--runroot=${file('run')}`,
    `--tmpdir=${file('tmp')}`,
    ...'--storage-driver=vfs --cgroup-manager=cgroupfs --events-backend=none'.split(' '),
  ]
  const verification = certificate === undefined ? ['--tls-verify=false'] : []
  const registry = [...verification, `--authfile=${file('auth.json')}`]
  const policy = ['--signature-policy', file('policy.json')]
  const podman = (...args: string[]) => run('podman', [...global, ...args], { env })
  const pullExactly = (image: string, ...more: string[]) =>
    podman('pull', '--quiet', ...registry, ...policy, ...more, image)
  const imageIdOf = async (image: string) =>
    (await podman('image', 'inspect', '--format', '{{.Id}}', image)).stdout.trim()
  return {
    login: (user: string, token: string) => podman('login', ...registry, '-u', user, '-p', token, stack.host),
    loginAsIs: () => podman('login', ...registry, stack.host),
    logout: (...args: string[]) => podman('logout', `--authfile=${file('auth.json')}`, ...args),
    authFile: () => readFile(file('auth.json'), 'utf8'),
    pull: (image: string, ...more: string[]) => pullExactly(`${stack.host}/${image}`, ...more),
    push: (image: string) => podman('push', ...registry, `${stack.host}/${image}`),
    imageId: (image: string) => imageIdOf(`${stack.host}/${image}`),
    pullExactly,
    imageIdOf,
  }
}
