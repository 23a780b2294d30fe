/**
 * The commands of `ci-images-mirror`.
 */
import { version } from '../config/version.ts'
import { createLogger } from '../telemetry/logging.ts'
import { parseMirrorArguments, type ArgumentsError, type Command, type MirrorArguments } from './arguments.ts'
import type { MirrorIo } from './io.ts'

export const help = `ci-images-mirror: external images in the repository of OpenShift CI's images

  ci-images-mirror --config=FILE --registry-config=FILE [flags]
                                           the service: compares, copies, and shows its queue
      --dry-run                            logs the differences, and writes nothing
      --kubeconfig=FILE                    of app.ci (default: KUBECONFIG, or the service account of the pod)
      --leader-election-namespace=NAME     namespace of the lease (default: ci); with --dry-run also --leader-election-suffix=TEXT
      --port=8090 --metrics-port=8080      ports of the API, and of the metrics and probes
      --interval=10m                       time between two passes; a change of FILE starts one at once
      --gracePeriod=10s                    time for running copies when the service ends
      --qci=quay.io/openshift/ci           the repository of QCI
      --registry-origin=HOST=URL           URL of a registry, if it is not https://HOST
      --enable-controller=quay_io_ci_images_distributor
                                           also mirrors tags of all ImageStreams of app.ci: those that tests use, for which it needs
                                           --release-repo-git-sync-path=DIR, and those of --quayIOCIImagesDistributorOptions.*;
                                           --only-valid-manifest-v2-images=false: also manifests that quay may refuse
      --attachments=PATTERN                also copies signatures, attestations and SBOMs of targets that match, such as ^ocp/
      --log-level=debug
  ci-images-mirror validate --config=FILE [flags], or --validate-config-only
      --base=FILE                          the previous version: errors already in that version become warnings
      --release-repo-git-sync-path=DIR     checkout of openshift/release, to find collisions with promoted tags
      --online                             also reads the sources from their registries; with --base, only those of changed
                                           entries; --registry-config=FILE for sources that require a login
      --online-timeout=10m                 time limit of --online
      --format=plain|json|github           for people, for programs, or as annotations of a pull request (default: plain)
  ci-images-mirror plan --config=FILE [--registry-config=FILE]
                                           prints the differences between the sources and QCI; needs no right to push
  ci-images-mirror explain NAMESPACE/NAME:TAG --url=URL, or --config=FILE
                                           whether QCI has an image as configured, and if not, why
  ci-images-mirror sync NAMESPACE/NAME:TAG --url=URL
                                           copies an image now, and prints the progress
  ci-images-mirror --help, --version

Exit code: 0 for a valid configuration, for a plan that has read each image, and for an image that QCI has as configured; 2 for wrong
arguments; 1 for any other result.
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

/** The text to print, if the command line requests only a text. */
const textOf = ([first, ...rest]: readonly string[]): string | undefined => {
  const isGiven = (...flags: readonly string[]): boolean =>
    [first, ...rest].some((arg) => flags.includes(`${arg}`))
  if (first === 'help' || isGiven('--help', '-help', '-h')) return help
  return first === 'version' || isGiven('--version', '-version', '-v') ? version : undefined
}

const runCommand = async (args: MirrorArguments, io: MirrorIo): Promise<number> => {
  for (const notice of args.notices) io.printError(`ci-images-mirror: ${notice}`)
  return await runs[args.command](args, io)
}

const serve = async (args: MirrorArguments, io: MirrorIo): Promise<number> => {
  const logger = createLogger(args.logLevel, io.log).child({ component: 'ci-images-mirror' })
  // The modules of the service are loaded after the arguments were checked.
  const { runService } = await import('./service/run-service.ts')
  const { stop, reload } = await runService(args, logger)
  io.onEnd?.(stop)
  io.onReload?.(reload)
  return 0
}

type Run = (args: MirrorArguments, io: MirrorIo) => number | Promise<number>

/** A command loads its own modules: those of all take half a second. */
const runs: Readonly<Record<Command, Run>> = {
  validate: async (args, io) => await (await import('./commands/validate.ts')).validateConfig(args, io),
  plan: async (args, io) => await (await import('./commands/plan.ts')).plan(args, io),
  explain: async (args, io) => await (await import('./commands/explain.ts')).explainImage(args, io),
  sync: async (args, io) => await (await import('./commands/sync.ts')).syncImage(args, io),
  serve,
}
