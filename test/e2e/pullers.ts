/** The requesters that pull from several replicas, their allowed and forbidden images, and the spellings. */
import type { Account } from './api-server.ts'
import type { Layer, Promoted, Promotion } from './promotion.ts'
import type { ReplicaSet } from './replica-set.ts'

export const identities = ['QCI-wide', 'one namespace', 'restricted', 'nobody'] as const
export type Identity = (typeof identities)[number]

export const places = {
  open: { namespace: 'ocp', name: '4.5' },
  team: { namespace: 'my-team', name: 'app' },
  restricted: { namespace: 'ocp-priv', name: '4.5' },
} as const
export type Place = keyof typeof places

export const rights: Record<Identity, { may?: Place; mayNot: readonly Place[] }> = {
  'QCI-wide': { may: 'open', mayNot: ['restricted'] },
  'one namespace': { may: 'team', mayNot: ['open', 'restricted'] },
  restricted: { may: 'restricted', mayNot: ['team'] },
  nobody: { mayNot: ['open', 'restricted'] },
}

/** Its rights are in another namespace than its own, so that its name does not tell them. */
export const teamPuller: Account = { namespace: 'ci', name: 'team-puller' }
export const restrictedPuller: Account = { namespace: 'ocp-priv', name: 'puller' }

export const letIn = async ({ api }: ReplicaSet, account: Account, namespace: string) => {
  await api.apply({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { ...account } })
  await api.apply({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: { name: account.name, namespace },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'system:image-puller' },
    subjects: [{ kind: 'ServiceAccount', ...account }],
  })
  return await api.createToken(account)
}

type Form = { form: 'monorepo' | 'image stream'; by: 'tag' | 'digest' }
// A digest is pulled after a tag that reaches it.
export const forms: readonly Form[] = [
  { form: 'monorepo', by: 'tag' },
  { form: 'monorepo', by: 'digest' },
  { form: 'image stream', by: 'tag' },
  { form: 'image stream', by: 'digest' },
]

export const specOf = (
  { namespace, name }: (typeof places)[Place],
  { tag, digest }: Promoted,
  { form, by }: Form,
) => {
  const repository = form === 'monorepo' ? 'openshift/ci' : `${namespace}/${name}`
  if (by === 'digest') return `${repository}@${digest}`
  return `${repository}:${form === 'monorepo' ? tag : tag.slice(`${namespace}_${name}_`.length)}`
}

/** An image with this tag in each namespace. */
export const promote = async (
  promotion: Promotion,
  base: Layer,
  tag: string,
): Promise<Record<Place, Promoted>> => {
  const image = async ({ namespace, name }: (typeof places)[Place]) =>
    await promotion.image(`${namespace}_${name}_${tag}`, base)
  return {
    open: await image(places.open),
    team: await image(places.team),
    restricted: await image(places.restricted),
  }
}
