/**
 * The image that .ci/image builds from the Dockerfile, on a base image of this machine. Checks its content, and that it runs as another
 * user on a read-only file system.
 */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { test } from 'tap'
import manifest from '../../package.json' with { type: 'json' }
import { missing, plainEnv, run, type Outcome } from './process.ts'

const root = resolve(import.meta.dirname, '../..')
const store = process.env['BASE_IMAGE_STORE']

const notPossible = (): string | false => {
  if (process.getuid?.() !== 0) return 'only root can mount'
  if (store === undefined)
    return 'BASE_IMAGE_STORE is not set: test/e2e/base-image/build makes such a directory'
  return missing('buildah', 'podman', 'npm')
}
const skip = notPossible()
if (skip !== false && process.env['CI'] === 'true')
  throw new Error(`${skip}, and under CI=true a skip is a failure`)

await test('the image of a release', { skip }, async (suite) => {
  const directory = await mkdtemp(join(tmpdir(), 'qp-image-'))
  suite.teardown(async () => await rm(directory, { recursive: true, force: true }))
  const file = (name: string) => join(directory, name)
  const storage = [
    '[storage]',
    'driver = "vfs"',
    `graphroot = "${file('storage')}"`,
    `runroot = "${file('run')}"`,
    '[storage.options]',
    `additionalimagestores = ["${store}"]`,
  ]
  await writeFile(file('storage.conf'), storage.join('\n'))
  const env = plainEnv({
    CONTAINERS_STORAGE_CONF: file('storage.conf'),
    BUILDAH_ISOLATION: 'chroot',
    SBOM_DIR: directory,
  })
  const succeed = async (command: string, ...args: string[]): Promise<string> => {
    const { code, stdout, output } = await run(command, args, { env, cwd: root, timeout: 600_000 })
    if (code !== 0) throw new Error(`${command} ${args.join(' ')}: ${output}`)
    return stdout.trim()
  }

  // npm uses cached packages first. Without this setting it would send a request to its registry for each package, and wait for three
  // minutes if the build cannot reach the registry.
  const cache = await succeed('npm', 'config', 'get', 'cache')
  await mkdir(cache, { recursive: true })
  await writeFile(file('npmrc'), 'prefer-offline=true\n')
  const volumes = [`--volume=${cache}:/root/.npm`, `--volume=${file('npmrc')}:/root/.npmrc:ro`]
  const name = await succeed('.ci/image', 'localhost/quay-proxy-base', ...volumes)
  const mounted = await succeed('podman', 'image', 'mount', name)
  suite.teardown(async () => await succeed('podman', 'image', 'unmount', name))

  interface Config {
    readonly User: string
    readonly Env: readonly string[]
    readonly Entrypoint: readonly string[]
    readonly WorkingDir: string
    readonly Labels: Readonly<Record<string, string>>
  }
  const config = JSON.parse(
    await succeed('podman', 'image', 'inspect', '--format={{json .Config}}', name),
  ) as Config

  /** As the container runtime of a cluster starts it: read-only, with new empty folders for temporary files. */
  const script = [
    'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1"',
    'for place in dev proc; do mount --rbind "/$place" "$1/$place"; done',
    'mount -t tmpfs none "$1/tmp"',
    'if touch "$1/app/file" 2>/dev/null; then exit 99; fi',
    'root=$1 user=$2; shift 2',
    'exec chroot --userspec="$user:0" "$root" "$@"',
  ]
  const start = async (
    args: readonly string[],
    user = '1001',
    extra: readonly string[] = [],
    program: readonly string[] = config.Entrypoint,
  ): Promise<Outcome> => {
    const command = ['env', '-C', config.WorkingDir, '-i', ...config.Env, ...extra, ...program, ...args]
    return await run('unshare', ['--mount', 'sh', '-c', script.join('\n'), 'sh', mounted, user, ...command], {
      env,
    })
  }

  await suite.test('its name and labels have the version of package.json', async (t) => {
    t.equal(name, `registry.ci.openshift.org/ci/quay-proxy:${manifest.version}`)
    t.match(config.Labels, {
      'org.opencontainers.image.title': 'quay-proxy',
      'org.opencontainers.image.version': manifest.version,
      'org.opencontainers.image.base.name': 'localhost/quay-proxy-base',
    })
    t.equal(config.User, '1001')
  })

  await suite.test(
    'as user 1001 on a read-only file system it passes its check, with its compile cache',
    async (t) => {
      const help = await start(['serve', '--help'], '1001', ['NODE_DEBUG_NATIVE=COMPILE_CACHE'])
      t.equal(help.code, 0, help.output)
      t.match(help.output, '--listen-addr')
      t.match(help.output, /cli\/run\.ts was accepted/, 'the compile cache is used')
      t.notMatch(help.output, /main\.ts was (?!accepted)/, 'no TypeScript is compiled before it')
      for (const program of ['quay-proxy', 'ci-images-mirror']) {
        const onPath = await start(['--version'], '1001', [], [program])
        t.match(onPath, { code: 0, stdout: manifest.version }, `oc exec POD -- ${program}`)
      }
      const check = await start(['sandbox', '--check'])
      t.equal(check.code, 0, check.output)
      t.match(check.stdout, 'All as it should be.')
    },
  )

  await suite.test('as a user that nobody knew at the build', async (t) => {
    const version = await start(['--version'], '1000680000')
    t.match(version, { code: 0, stdout: manifest.version }, version.output)
  })

  await suite.test(
    'it has the packages of production, without types, source maps and npm; nobody may write',
    async (t) => {
      const find = async (...args: string[]) => await succeed('find', `${mounted}/app`, ...args)
      t.equal(await find('-name', '*.map', '-o', '-regex', String.raw`.*\.d\.[cm]?ts`), '')
      t.equal(await find('-perm', '/022', '!', '-type', 'l'), '', 'files that others may write')
      t.equal(await find('!', '-user', 'root'), '')
      t.equal(await find('-path', '*/node_modules/tap', '-o', '-path', '*/node_modules/typescript'), '')
      t.equal(await succeed('find', `${mounted}/usr/local`, '-name', 'npm*'), '')
    },
  )

  await suite.test(
    'the SBOM names every package that is installed, with its version, and nothing else',
    async (t) => {
      const sbom = JSON.parse(await readFile(file(`quay-proxy-${manifest.version}.spdx.json`), 'utf8')) as {
        readonly spdxVersion: string
        readonly packages: readonly { readonly name: string; readonly versionInfo: string }[]
      }
      t.match(sbom.spdxVersion, /^SPDX-2\./)
      const files = await succeed(
        'find',
        `${mounted}/app/node_modules`,
        '-path',
        '*/node_modules/.cache',
        '-prune',
        '-o',
        '-name',
        'package.json',
        '-print',
      )
      const installed = await Promise.all(
        files
          .split('\n')
          .filter((path) => /\/node_modules\/(?:@[^/]+\/)?[^/]+\/package\.json$/.test(path))
          .map(async (path) => {
            const { name: packageName, version } = JSON.parse(await readFile(path, 'utf8')) as Record<
              string,
              string
            >
            return `${packageName}@${version}`
          }),
      )
      t.ok(installed.length > 100, `${installed.length} packages`)
      const named = sbom.packages.map(({ name: packageName, versionInfo }) => `${packageName}@${versionInfo}`)
      const expected = [...installed, `${manifest.name}@${manifest.version}`]
      t.same([...new Set(named)].toSorted(), [...new Set(expected)].toSorted())
    },
  )

  await suite.test('a base image that has no digest is refused', async (t) => {
    const { code, stderr } = await run('.ci/image', ['docker.io/library/node:26-slim'], { env, cwd: root })
    t.equal(code, 64)
    t.match(stderr, 'docker.io/library/node:26-slim has no digest: NAME@sha256:DIGEST')
  })
})
