/**
 * What `quay-proxy sandbox` shows: who can log in and what RBAC lets them pull, the commands to paste, and pulls by each of them, held
 * against what RBAC says.
 */
import { createRestrictedNamespaces } from '../access/restricted-namespaces.ts'
import { flags } from '../config/flags.ts'
import type { Logger } from '../telemetry/logging.ts'
import { identitiesIn } from './app-ci/identities.ts'
import { choosePeople, reachText, type Person } from './people.ts'
import { pull, PullError } from './pull.ts'
import { startSandbox, type Sandbox } from './sandbox.ts'

export interface TourOptions {
  readonly logger: Logger
  /** RBAC that the proxy itself needs: nobody of it is shown. */
  readonly own: readonly string[]
  /** Directories whose identities log in. */
  readonly rbac: readonly string[]
  /** Who logs in instead: users, `group:NAME`, service accounts by their user names; some of `rbac` where this is empty. */
  readonly as: readonly string[]
  readonly port: number
  readonly print: (line: string) => void
}

export interface Tour {
  /** Every pull went as RBAC says. */
  readonly succeeded: boolean
  readonly close: () => Promise<void>
}

type Print = TourOptions['print']

/** What `--check` says in the end, and what it exits with. */
export const verdictOf = ({ succeeded }: Pick<Tour, 'succeeded'>): { text: string; exitCode: 0 | 1 } =>
  succeeded
    ? { text: 'All as it should be.', exitCode: 0 }
    : { text: 'Not as it should be: see above.', exitCode: 1 }

export const startTour = async (options: TourOptions): Promise<Tour> => {
  const { logger, own, rbac, as, port, print } = options
  const sandbox = await startSandbox({ logger, rbac: [...own, ...rbac], port, families: true })
  try {
    return {
      succeeded: await showSandbox(sandbox, { own, rbac, as, print }),
      close: sandbox.close,
    }
  } catch (error) {
    await sandbox.close()
    throw error
  }
}

const qciNamespace = flags['qci-namespace'].fallback!
const restrictedNamespaces = flags['restricted-namespaces']
const isRestricted = createRestrictedNamespaces(restrictedNamespaces.parse(restrictedNamespaces.fallback!)!)

/** Each image of the sample content that is pulled, and the namespace it is of. */
const images = [
  ['ocp/4.5', 'base', 'ocp'],
  ['my-team/app', 'latest', 'my-team'],
  ['ocp-priv/4.5', 'embargoed', 'ocp-priv'],
] as const

/** @returns whether every pull went as RBAC says */
export const showSandbox = async (
  sandbox: Sandbox,
  { own, rbac, as, print }: Pick<TourOptions, 'own' | 'rbac' | 'as' | 'print'>,
): Promise<boolean> => {
  const identities = identitiesIn(sandbox.objects.slice(own.length).flat())
  const people = choosePeople(as, {
    kubernetes: sandbox.kubernetes,
    identities,
    isRestricted,
    qciNamespace,
    namespaces: images.map(([, , namespace]) => namespace),
  })
  showParts(sandbox, [...own, ...rbac], print)
  showPeople(sandbox, people, print)
  if (as.length === 0)
    print(`\nIdentities in the RBAC: ${identities.all.length}. --as logs in as any of them.`)
  showImages(sandbox, print)
  return await showPulls(sandbox, people, print)
}

/** More would push everything else off the screen. */
const mostSkipped = 20

const showParts = (sandbox: Sandbox, directories: readonly string[], print: Print): void => {
  const { kubernetes, quay, url, metricsUrl, skipped } = sandbox
  print(
    `app.ci     ${kubernetes.url}  TokenReview and SubjectAccessReview, from ${directories.join(' and ')}`,
  )
  print(`quay       ${quay.url}  with its CDN at ${quay.cdnUrl}`)
  print(`quay-proxy ${url}  metrics at ${metricsUrl}/metrics`)
  if (skipped.length > 0) print('\nLeft out of the RBAC:\n')
  for (const text of skipped.slice(0, mostSkipped)) print(`  ${text}`)
  if (skipped.length > mostSkipped) print(`  and ${skipped.length - mostSkipped} more`)
}

const showPeople = (sandbox: Sandbox, people: readonly Person[], print: Print): void => {
  print('\nWho can log in, and what RBAC lets them pull:')
  for (const { who, username, token, reach } of people) {
    print(`\n  # ${username}, ${who}: ${reachText(reach, isRestricted)}`)
    print(`  podman login --tls-verify=false -u ${username} -p ${token} ${new URL(sandbox.url).host}`)
  }
}

const showImages = ({ url, stock, families }: Sandbox, print: Print): void => {
  const { host } = new URL(url)
  print('\nWhat to pull then:\n')
  print(`  podman pull --tls-verify=false ${host}/openshift/ci:ocp_4.5_base`)
  for (const [repository, tag] of images)
    print(`  podman pull --tls-verify=false ${host}/${repository}:${tag}`)
  print('\nTags in QCI:\n')
  for (const { tag, platforms } of stock.tags) print(`  ${tag}  ${platforms.join(' ')}`)
  for (const { tag } of families?.tags ?? []) print(`  ${tag}`)
}

const showPulls = async (sandbox: Sandbox, people: readonly Person[], print: Print): Promise<boolean> => {
  let succeeded = true
  let isFirst = true
  for (const { username, token: password } of people)
    for (const [repository, reference, namespace] of images) {
      print(`\n${username} pulls ${repository}:${reference}\n`)
      const wanted = { registry: sandbox.url, repository, reference, username, password }
      // Every blob of one pull: of the others it would be the same again.
      const outcome = await attempt({ ...wanted, isShown: isFirst }, print)
      isFirst &&= outcome !== 200
      const status = expected(sandbox, password, repository, namespace)
      if (outcome === status) continue
      print(`  RBAC says that this has to ${status === 200 ? 'succeed' : 'be refused'}`)
      succeeded = false
    }
  return succeeded
}

/** The rule of the proxy for a tag, as README has it. */
const expected = (
  { kubernetes }: Sandbox,
  token: string,
  repository: string,
  namespace: string,
): 200 | 403 => {
  const name = repository.slice(namespace.length + 1)
  const [isQciWide, mayPull] = kubernetes.mayPull(token, [{ namespace: qciNamespace }, { namespace, name }])
  return (isQciWide === true && !isRestricted(namespace)) || mayPull === true ? 200 : 403
}

interface Wanted {
  readonly registry: string
  readonly repository: string
  readonly reference: string
  readonly username: string
  readonly password: string
  readonly isShown: boolean
}

/** The status that a pull ended with. */
const attempt = async ({ isShown, ...wanted }: Wanted, print: Print): Promise<number> => {
  try {
    const onProgress = (line: string): void => print(`  ${line}`)
    const pulled = await pull({ ...wanted, ...(isShown ? { onProgress } : {}) })
    const platforms = pulled.platforms.join(', ')
    print(
      `  pulled ${pulled.digest} for ${platforms}: ${pulled.blobs} blobs, ${pulled.bytes} bytes, every digest right`,
    )
    return 200
  } catch (error) {
    if (!(error instanceof PullError)) throw error
    print(`  ${error.message}`)
    return error.status
  }
}
