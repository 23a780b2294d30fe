/** `ci-images-mirror` and the tools that people take instead, on the same images. */
import '../../e2e/tools.ts'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { missing } from '../../e2e/process.ts'
import type { ImageForm } from '../../e2e/production-mirror.ts'
import { RegistryStorage, storeImage } from '../../e2e/registry-storage.ts'
import type { MirrorPassInput } from '../clients/mirror-pass.ts'
import { atMost, megabytes, mustHold, type Part, type Section, type Setting } from '../section.ts'
import { startCountedRegistry, type CountedRegistry } from '../system/docker-registry.ts'
import { runTool, scratch } from '../system/processes.ts'

const images = 200
/** Seven of eight are neighbours of QCI on quay.io, as in the configuration of production. */
const isNeighbour = (index: number): boolean => index % 8 !== 0
const forms: readonly ImageForm[] = ['oci', 'docker', 'index', 'list']
/** Bytes of the large layer of an image, which are random. */
const layerBytes = (index: number): number => (index % 20 === 0 ? 8_000_000 : 100_000)

interface Image {
  readonly host: 'quay.io' | 'elsewhere'
  readonly repository: string
  readonly float: string
}

interface Pass {
  readonly seconds: number
  /** User and system, of all processes. */
  readonly cpuSeconds: number
  readonly requests: number
  readonly bytes: number
}

interface Tool {
  readonly name: string
  /** A command of `sh` that copies all images into a repository of QCI. */
  readonly command: (repository: string) => string
}

/** Of `times` of sh, whose last line is about the children: `0m1.23s 0m0.45s`. */
const cpuSecondsIn = (output: string): number => {
  const [last = ''] = output.trim().split('\n').toReversed()
  return [...last.matchAll(/(\d+)m([\d.]+)s/g)].reduce(
    (sum, [, minutes, seconds]) => sum + Number(minutes) * 60 + Number(seconds),
    0,
  )
}

const measure = async (command: string, registries: readonly CountedRegistry[]): Promise<Pass> => {
  for (const { traffic } of registries) traffic()
  const began = performance.now()
  const { stdout } = await runTool('sh', ['-c', `set -e; ${command}; times`])
  const seconds = (performance.now() - began) / 1000
  const traffic = registries.map((registry) => registry.traffic())
  return {
    seconds,
    cpuSeconds: cpuSecondsIn(stdout),
    requests: traffic.reduce((sum, { requests }) => sum + requests, 0),
    bytes: traffic.reduce((sum, { bytes }) => sum + bytes, 0),
  }
}

const rowOf = (label: string, { seconds, cpuSeconds, requests, bytes }: Pass): readonly string[] => [
  label,
  `${seconds.toFixed(1)} s`,
  `${cpuSeconds.toFixed(1)} s`,
  String(requests),
  megabytes(bytes),
]

const storeAll = async (directory: string): Promise<readonly Image[]> => {
  const storages = {
    'quay.io': new RegistryStorage(join(directory, 'quay')),
    elsewhere: new RegistryStorage(join(directory, 'elsewhere')),
  }
  const stored: Image[] = []
  for (let index = 0; index < images; index++) {
    const host = isNeighbour(index) ? 'quay.io' : 'elsewhere'
    const repository = `team-${index % 10}/image-${index}`
    const form = forms[index % forms.length] as ImageForm
    await storeImage(storages[host], { repository, tag: 'v1', form }, layerBytes(index))
    stored.push({ host, repository, float: `ci_image-${index}_v1` })
  }
  return stored
}

const toolsOf = (
  directory: string,
  stored: readonly Image[],
  hosts: Readonly<Record<Image['host'], string>>,
) => {
  const lines = (line: (source: string, float: string) => string): string =>
    stored.map(({ host, repository, float }) => line(`${hosts[host]}/${repository}:v1`, float)).join('\n')
  const target = hosts['quay.io']
  const input = (repository: string): string => {
    const file = join(directory, `${repository.replace('/', '-')}.json`)
    const entries = stored.map(
      (image) =>
        `  ci/${image.float.split('_')[1]}:v1: {image: "${image.host === 'quay.io' ? 'quay.io' : 'elsewhere.example'}/${image.repository}:v1"}\n`,
    )
    const origins = { 'quay.io': `http://${target}`, 'elsewhere.example': `http://${hosts.elsewhere}` }
    const content: MirrorPassInput = {
      yaml: `supplementalCIImages:\n${entries.join('')}`,
      origins,
      repository,
    }
    writeFileSync(file, JSON.stringify(content))
    return file
  }
  const client = join(import.meta.dirname, '../clients/mirror-pass.ts')
  const insecure = '--src-tls-verify=false --dest-tls-verify=false'
  const config = join(directory, 'regctl.json')
  const tools: readonly Tool[] = [
    {
      name: 'ci-images-mirror',
      command: (repository) => `${process.execPath} ${client} ${input(repository)}`,
    },
    {
      name: 'skopeo copy --all',
      command: (repository) =>
        lines(
          (source, float) =>
            `skopeo --insecure-policy copy --quiet --all --preserve-digests ${insecure} docker://${source} docker://${target}/${repository}:${float}`,
        ),
    },
    {
      name: 'regctl image copy',
      command: (repository) =>
        [
          `export REGCTL_CONFIG=${config}`,
          ...Object.values(hosts).map((host) => `regctl registry set ${host} --tls=disabled --skip-check`),
          lines(
            (source, float) =>
              `regctl image copy --verbosity=error ${source} ${target}/${repository}:${float} >/dev/null`,
          ),
        ].join('\n'),
    },
    {
      name: 'crane copy',
      command: (repository) =>
        lines(
          (source, float) => `crane copy --insecure ${source} ${target}/${repository}:${float} 2>/dev/null`,
        ),
    },
  ]
  return tools
}

const run = async ({ say }: Setting): Promise<Section> => {
  const absent = missing('docker-registry', 'skopeo', 'regctl', 'crane')
  if (absent !== false) throw new Error(absent)
  await using directory = await scratch()
  const stored = await storeAll(directory.path)
  await using quay = await startCountedRegistry(directory.path, 'quay')
  await using elsewhere = await startCountedRegistry(directory.path, 'elsewhere')
  const registries = [quay, elsewhere]
  const passes: (readonly [name: string, first: Pass, second: Pass])[] = []
  const tools = toolsOf(directory.path, stored, { 'quay.io': quay.host, elsewhere: elsewhere.host })
  for (const [index, { name, command }] of tools.entries()) {
    const repository = `openshift/ci-${index}`
    say(`${name}, a first pass`)
    const first = await measure(command(repository), registries)
    say(`${name}, a pass without a change`)
    passes.push([name, first, await measure(command(repository), registries)])
  }
  const [[, first, second]] = passes as unknown as [(typeof passes)[number]]
  const others = passes.slice(1)
  const least = (of: (pass: readonly [string, Pass, Pass]) => number): number => Math.min(...others.map(of))
  const seconds = (value: number): string => `${value.toFixed(1)} s`
  const columns = ['wall', 'CPU', 'requests', 'bytes of bodies']
  return {
    tables: [
      { columns: ['a first pass', ...columns], rows: passes.map(([name, pass]) => rowOf(name, pass)) },
      {
        columns: ['a pass without a change', ...columns],
        rows: passes.map(([name, , pass]) => rowOf(name, pass)),
      },
    ],
    outcomes: [
      atMost({
        what: 'wall time of a first pass, against the fastest tool',
        limit: least(([, pass]) => pass.seconds),
        measured: first.seconds,
        format: seconds,
      }),
      atMost({
        what: 'CPU of a first pass, against the cheapest tool',
        limit: least(([, pass]) => pass.cpuSeconds),
        measured: first.cpuSeconds,
        format: seconds,
      }),
      atMost({
        what: 'requests of a first pass, against the fewest',
        limit: least(([, pass]) => pass.requests),
        measured: first.requests,
        format: String,
      }),
      atMost({
        what: 'wall time of a pass without a change, against the fastest tool',
        limit: least(([, , pass]) => pass.seconds),
        measured: second.seconds,
        format: seconds,
      }),
      mustHold(
        'two requests an image for a pass without a change',
        `${second.requests} for ${images} images`,
        second.requests <= 2 * images,
      ),
    ],
  }
}

export const mirror: Part = {
  name: 'mirror',
  title: 'Copies by the mirror, and by other tools',
  about: `${images} images, of which seven in eight are on the registry of QCI itself, as in production; half of them are lists. Debian's docker-registry is the registry. One pass of
\`ci-images-mirror\` is one process without a limit of its own; of the other tools, which have no configuration of such a form, it is one process an image, one after the other. CPU is that
of the tool alone. Neither \`skopeo\` nor the others keep the image that they replace.`,
  run,
}
