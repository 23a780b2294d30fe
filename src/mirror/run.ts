/**
 * The commands of `ci-images-mirror`.
 */
import { version } from '../config/version.ts'
import { createLogger } from '../telemetry/logging.ts'
import { parseMirrorArguments, type ArgumentsError, type Command, type MirrorArguments } from './arguments.ts'
import { explainImage } from './commands/explain.ts'
import { plan } from './commands/plan.ts'
import { syncImage } from './commands/sync.ts'
import { validateConfig } from './commands/validate.ts'
import type { MirrorIo } from './io.ts'

export const help = `ci-images-mirror: external images in the repository of OpenShift CI's images

  ci-images-mirror --config=FILE --registry-config=FILE [flags]
                                           the service: compares, copies, and shows its queue
      --dry-run                            tells differences, and writes nothing
      --kubeconfig=FILE                    of app.ci (default: KUBECONFIG, else that of the pod)
      --leader-election-namespace=NAME     of the lease (default: ci); --leader-election-suffix=TEXT with --dry-run
      --port=8090 --metrics-port=8080      of the API, and of the metrics and probes
      --interval=10m                       between two passes; a change of FILE begins one at once
      --gracePeriod=10s                    for copies that run when it ends
      --qci=quay.io/openshift/ci           where images go
      --registry-origin=HOST=URL           where a registry is, if not at https://HOST
      --enable-controller=quay_io_ci_images_distributor
                                           also mirrors tags of all ImageStreams of app.ci: those that tests use, for which it needs
                                           --release-repo-git-sync-path=DIR, and those of --quayIOCIImagesDistributorOptions.*;
                                           --only-valid-manifest-v2-images=false: also manifests that quay may refuse
      --attachments=PATTERN                also copies signatures, attestations and SBOMs of targets that match, such as ^ocp/
      --log-level=debug
  ci-images-mirror validate --config=FILE [flags], or --validate-config-only
      --base=FILE                          the version before: what was wrong in it already is a warning
      --release-repo-git-sync-path=DIR     checkout of openshift/release, to find collisions with promoted tags
      --online                             also asks the registries: sources that do not exist or lack a part; with --base, of
                                           changed entries only; --registry-config=FILE for sources that want a login
      --online-timeout=10m                 for all of that together
      --format=plain|json|github           for a person, for a program, as annotations of a pull request (default: plain)
  ci-images-mirror plan --config=FILE [--registry-config=FILE]
                                           what differs between the sources and QCI; writes nothing, and needs no push right
  ci-images-mirror explain NAMESPACE/NAME:TAG --url=URL, or --config=FILE
                                           why an image is, or is not, where it should be
  ci-images-mirror sync NAMESPACE/NAME:TAG --url=URL
                                           copies it now, and tells how that goes
  ci-images-mirror --help, --version

Exit code: 0 for a valid configuration, a plan that has read each image, and an image that is where it should be; 1 for any other;
2 for wrong arguments.
`

/** @returns the exit code */
export const run = async (args: readonly string[], io: MirrorIo): Promise<number> => {
  const text = textOf(args)
  if (text !== undefined) {
    io.print(text)
    return 0
  }
  try {
    return await runCommand(parseMirrorArguments(args, io.environment), io)
  } catch (error) {
    const { problems = [(error as Error).message] } = error as Partial<ArgumentsError>
    for (const problem of problems) io.printError(`ci-images-mirror: ${problem}`)
    return 2
  }
}

/** Of a command line that asks for a text alone. */
const textOf = ([first, ...rest]: readonly string[]): string | undefined => {
  const isGiven = (...flags: readonly string[]): boolean =>
    [first, ...rest].some((arg) => flags.includes(`${arg}`))
  if (first === 'help' || isGiven('--help', '-help', '-h')) return help
  return first === 'version' || isGiven('--version', '-version') ? version : undefined
}

const runCommand = async (args: MirrorArguments, io: MirrorIo): Promise<number> => {
  for (const notice of args.notices) io.printError(`ci-images-mirror: ${notice}`)
  return await runs[args.command](args, io)
}

const serve = async (args: MirrorArguments, io: MirrorIo): Promise<number> => {
  const logger = createLogger(args.logLevel, io.log).child({ component: 'ci-images-mirror' })
  // Its modules load after the arguments were found valid.
  const { runService } = await import('./service/run-service.ts')
  const { stop, reload } = await runService(args, logger)
  io.onEnd?.(stop)
  io.onReload?.(reload)
  return 0
}

const runs: Readonly<Record<Command, (args: MirrorArguments, io: MirrorIo) => number | Promise<number>>> = {
  validate: validateConfig,
  plan,
  explain: explainImage,
  sync: syncImage,
  serve,
}
