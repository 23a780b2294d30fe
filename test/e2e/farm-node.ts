/**
 * A node of a build farm: podman with the registries.conf that OpenShift's machine config operator makes of the mirror sets, and with the
 * pull secret that nodes have.
 */
import { join } from 'node:path'
import { loadAllYaml } from '@kubernetes/client-node'
import { readFile } from 'node:fs/promises'
import { isolatedPodman } from './podman.ts'
import { robot, root, type Workplace } from './stack.ts'

type MirrorSet = {
  kind: string
  spec: Record<string, { source: string; mirrors: string[] }[]>
}
export type FarmHosts = { cache: string; quayProxy: string; quay: string }

/** The hosts of manifests/mirror-sets/build-farm.yaml. */
const production: FarmHosts = {
  cache: 'qci-pull-through-cache-us-east-1-ci.apps.build01.example.com',
  quayProxy: 'quay-proxy.ci.openshift.org',
  quay: 'quay.io',
}

// JSON strings are TOML strings.
const entry = (location: string, { quay }: FarmHosts) =>
  `location = ${JSON.stringify(location)}\ninsecure = ${location.startsWith(quay)}\n`

/** @see https://github.com/openshift/runtime-utils/blob/master/pkg/registries/registries.go */
export const registriesConf = async (hosts: FarmHosts): Promise<string> => {
  const file = join(root, 'manifests/mirror-sets/build-farm.yaml')
  let text = await readFile(file, 'utf8')
  for (const [name, host] of Object.entries(production))
    text = text.replaceAll(host, hosts[name as keyof FarmHosts])
  const mirrors = new Map<string, string>()
  for (const { kind, spec } of loadAllYaml(text) as MirrorSet[]) {
    const by = kind === 'ImageDigestMirrorSet' ? 'digest-only' : 'tag-only'
    for (const { source, mirrors: locations } of Object.values(spec).flat())
      for (const location of locations) {
        const mirror = `[[registry.mirror]]\n${entry(location, hosts)}pull-from-mirror = "${by}"\n`
        mirrors.set(source, (mirrors.get(source) ?? '') + mirror)
      }
  }
  return [...mirrors]
    .map(([source, lines]) => `[[registry]]\nprefix = ""\n${entry(source, hosts)}${lines}`)
    .join('\n')
}

/** The robot, under the keys of the pull secrets of build farms. */
const pullSecret = ({ cache, quayProxy, quay }: FarmHosts) => {
  const auth = Buffer.from(`${robot.username}:${robot.password}`).toString('base64')
  return Object.fromEntries([quayProxy, `${quay}/openshift/ci`, cache].map((key) => [key, { auth }]))
}

/** Nothing is stored in it yet. */
export const farmNode = async (stack: Workplace, name: string, hosts: FarmHosts, certificate: string) => {
  const options = { registries: await registriesConf(hosts), auths: pullSecret(hosts), certificate }
  // References begin with their own host.
  const podman = await isolatedPodman(stack, name, options)
  return { pull: podman.pullExactly, imageId: podman.imageIdOf }
}
