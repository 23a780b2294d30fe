/**
 * What `quay-proxy sandbox` shows: who can log in, the commands to paste, and one whole pull, with its progress.
 */
import type { Logger } from '../logging.ts'
import { pull, PullError } from './pull.ts'
import { startSandbox, type Sandbox } from './sandbox.ts'

export interface TourOptions {
  readonly logger: Logger
  readonly rbac: readonly string[]
  readonly port: number
  readonly print: (line: string) => void
}

export interface Tour {
  /** Every pull went as it had to. */
  readonly succeeded: boolean
  readonly close: () => Promise<void>
}

interface Person {
  readonly who: string
  readonly username: string
  readonly token: string
}

export const startTour = async ({ logger, rbac, port, print }: TourOptions): Promise<Tour> => {
  const sandbox = await startSandbox({ logger, rbac, port })
  try {
    return { succeeded: await show(sandbox, rbac, print), close: sandbox.close }
  } catch (error) {
    await sandbox.close()
    throw error
  }
}

const show = async (
  sandbox: Sandbox,
  rbac: readonly string[],
  print: (line: string) => void,
): Promise<boolean> => {
  const people = peopleOf(sandbox)
  const host = new URL(sandbox.url).host
  print(
    `app.ci     ${sandbox.kubernetes.url}  TokenReview and SubjectAccessReview, from ${rbac.join(' and ')}`,
  )
  print(`quay       ${sandbox.quay.url}  with its CDN at ${sandbox.quay.cdnUrl}`)
  print(`quay-proxy ${sandbox.url}  metrics at ${sandbox.metricsUrl}/metrics`)
  print('\nWho can log in:')
  for (const { who, username, token } of people) {
    print(`\n  # ${who}`)
    print(`  podman login --tls-verify=false -u ${username} -p ${token} ${host}`)
  }
  print('\nWhat to pull then:\n')
  print(`  podman pull --tls-verify=false ${host}/openshift/ci:ocp_4.5_base`)
  print(`  podman pull --tls-verify=false ${host}/ocp/4.5:base`)
  print(`  podman pull --tls-verify=false ${host}/my-team/app:latest`)
  print('\nTags in QCI:\n')
  for (const { tag, platforms } of sandbox.stock.tags) print(`  ${tag}  ${platforms.join(' ')}`)
  return await showPulls(sandbox, people, print)
}

const peopleOf = ({ kubernetes }: Sandbox): readonly [Person, Person, Person] => [
  {
    who: 'alice is in the group qci-image-pullers: everything but restricted namespaces',
    username: 'alice',
    token: kubernetes.issueUserToken({ username: 'alice', groups: ['qci-image-pullers'] }),
  },
  {
    who: 'a service account with system:image-puller in my-team: what is in my-team',
    username: 'system:serviceaccount:my-team:image-puller',
    token: kubernetes.issueServiceAccountToken({ namespace: 'my-team', name: 'image-puller' }),
  },
  {
    who: 'mallory has a valid login and no access to anything',
    username: 'mallory',
    token: kubernetes.issueUserToken({ username: 'mallory', groups: [] }),
  },
]

/** Each row is a pull, by whom, and the status that it has to end with. */
const pulls = [
  [0, 'ocp/4.5', 'base', 200],
  [1, 'my-team/app', 'latest', 200],
  [0, 'ocp-priv/4.5', 'embargoed', 403],
  [2, 'openshift/ci', 'ocp_4.5_base', 403],
] as const

const showPulls = async (
  sandbox: Sandbox,
  people: readonly [Person, Person, Person],
  print: (line: string) => void,
): Promise<boolean> => {
  let succeeded = true
  for (const [index, repository, reference, status] of pulls) {
    const { username, token: password } = people[index]
    print(`\n${username} pulls ${repository}:${reference}\n`)
    const outcome = await attempt(sandbox, { repository, reference, username, password }, print)
    if (outcome !== status) {
      print(`  this had to ${status === 200 ? 'succeed' : 'be refused'}`)
      succeeded = false
    }
  }
  return succeeded
}

/** The status that a pull ended with. */
const attempt = async (
  { url }: Sandbox,
  wanted: { repository: string; reference: string; username: string; password: string },
  print: (line: string) => void,
): Promise<number> => {
  try {
    const pulled = await pull({ registry: url, ...wanted, onProgress: (line) => print(`  ${line}`) })
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
