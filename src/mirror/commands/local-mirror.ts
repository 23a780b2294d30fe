/**
 * A mirror that only reads, for commands that read the registries themselves.
 */
import { systemClock } from '../../concurrency/clock.ts'
import { loadKubeConfig } from '../../kubernetes/kubeconfig.ts'
import { appCiImages } from '../app-ci/app-ci-source.ts'
import type { MirrorArguments } from '../arguments.ts'
import type { MirrorConfig } from '../config/mirror-config.ts'
import { Distributor, type DistributorEvent } from '../distributor/distributor.ts'
import { Mirror } from '../mirror.ts'
import type { Desired } from '../plan/desired.ts'
import { externalImages, type DesiredReading } from '../plan/desired-source.ts'
import { Registries } from '../registry/registries.ts'
import { noPermit } from '../registry/write-permit.ts'
import { withoutCollisions } from '../service/desired-list.ts'
import type { MirrorIo } from '../io.ts'
import { credentialsOf } from './read-files.ts'

export interface LocalMirror {
  readonly mirror: Mirror
  readonly close: () => Promise<void>
}

export const openMirror = (args: MirrorArguments, io: RegistryIo): LocalMirror => {
  const registries = openRegistries(args, io)
  return { mirror: new Mirror({ registries, qci: args.qci }), close: async () => await registries.close() }
}

type RegistryIo = Pick<MirrorIo, 'originOf' | 'clock'>

/** For reading alone. */
export const openRegistries = (
  args: MirrorArguments,
  { originOf, clock = systemClock }: RegistryIo,
): Registries =>
  new Registries({
    permit: noPermit,
    credentialOf: credentialsOf(args),
    originOf: (host) => args.origins.get(host) ?? originOf?.(host) ?? new URL(`https://${host}`),
    clock,
  })

/**
 * The list has the images of ART, and those of the watch if it is enabled, if a kubeconfig is given, otherwise only `supplementalCIImages`. @throws {Error} if app.ci gives no list
 */
export const readDesired = async (args: MirrorArguments, config: MirrorConfig): Promise<Desired> => {
  const { problem, ...desired } = await readAll(args, config, new AbortController().signal)
  // A plan without these images would look complete.
  if (problem !== undefined) throw new Error(problem)
  return withoutCollisions(desired)
}

const readAll = async (
  { kubeconfig, distributor: options }: MirrorArguments,
  config: MirrorConfig,
  signal: AbortSignal,
): Promise<DesiredReading> => {
  // A plan without the images of the watch would look complete.
  if (kubeconfig === undefined && options !== undefined)
    throw new Error('--enable-controller needs a kubeconfig of app.ci: --kubeconfig=FILE, or KUBECONFIG')
  if (kubeconfig === undefined) return await externalImages.read(config, signal)
  const kubeConfig = loadKubeConfig(kubeconfig)
  const base = appCiImages(kubeConfig)
  if (options === undefined) return await base.read(config, signal)
  const listed = Promise.withResolvers<void>()
  const observe = (event: DistributorEvent): void => {
    if (event.what === 'listed') listed.resolve()
    else if ('error' in event) listed.reject(event.error)
  }
  const distributor = new Distributor({ base, kubeConfig, options, clock: systemClock, observe })
  try {
    await Promise.all([distributor.start(() => undefined), listed.promise])
    return await distributor.read(config, signal)
  } finally {
    await distributor.close()
  }
}
