/**
 * Compares the sandbox's RBAC with the real one: the same objects, the same reviews, the same answers.
 * ClusterRoles with an aggregationRule are left out: a controller writes their rules, and this API server has none.
 */
import { RbacAuthorizationV1Api, type KubeConfig } from '@kubernetes/client-node'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'tap'
import { createApiServer } from '../../src/kubernetes/api-server.ts'
import {
  createRbac,
  readManifests,
  type KubernetesObject,
  type Rbac,
  type ResourceAttributes,
} from '../../src/sandbox/app-ci/rbac.ts'
import { missingApiServer, namespaces, startApiServer, type ApiServer } from './api-server.ts'
import { root } from './stack.ts'

const skip = missingApiServer()
// RBAC_SEED=... creates other reviews.
const seed = Number(process.env['RBAC_SEED'] ?? 4711)
const worlds = 50
const questionsPerWorld = 64
const atATime = 16

type Requester = { user?: string; groups?: string[] }
type Question = { requester: Requester; attributes: ResourceAttributes; features: string[] }
type Rule = { verbs: string[]; apiGroups: string[]; resources: string[]; resourceNames?: string[] }
type Subject = { kind: string; name: string; namespace?: string; apiGroup?: string }
type Role = KubernetesObject & { metadata: { name: string; namespace?: string }; rules: Rule[] }
type Binding = KubernetesObject & {
  metadata: { name: string; namespace?: string }
  roleRef: { apiGroup: string; kind: string; name: string }
  subjects: Subject[]
}
type World = { namespaces: string[]; roles: Role[]; bindings: Binding[]; requesters: Requester[] }

/** mulberry32: its numbers depend on the seed alone. */
const createDice = (state: number) => {
  const random = () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  return {
    chance: (probability: number) => random() < probability,
    pick: <Value>(values: readonly Value[]): Value => values[Math.floor(random() * values.length)]!,
    upTo: (most: number) => 1 + Math.floor(random() * most),
  }
}
type Dice = ReturnType<typeof createDice>
const times = <Value>(count: number, make: (index: number) => Value) =>
  Array.from({ length: count }, (_, index) => make(index))

const apiVersion = 'rbac.authorization.k8s.io/v1'
const apiGroup = 'rbac.authorization.k8s.io'

const verbs = [['get'], ['get'], ['*'], ['list', 'watch'], ['update', 'get'], ['create']]
const apiGroups = [['image.openshift.io'], ['', 'image.openshift.io'], ['image.openshift.io'], ['*'], ['']]
const resources = [
  ['imagestreams/layers'],
  ['imagestreams/layers'],
  ['*/layers'],
  ['*'],
  ['imagestreams'],
  ['imagestreams/*'],
  ['*/*'],
  ['imagestreams', 'imagestreams/layers'],
  ['imagestreamtags', '*/status'],
  ['imagestreams/layers/layers'],
]
const resourceNames = [['4.5'], ['4.5', 'app'], ['*'], [''], []]

const rollRule = ({ pick, chance }: Dice): Rule => ({
  verbs: pick(verbs),
  apiGroups: pick(apiGroups),
  resources: pick(resources),
  ...(chance(0.3) ? { resourceNames: pick(resourceNames) } : {}),
})

/** A person or machine of a world. They share names on purpose: a User may have the name of a Group. */
const rollSubject = ({ pick }: Dice, world: string, inNamespaces: string[], bound: string | undefined) => {
  const name = `${world}-${pick(['ada', 'ben', 'builder'])}`
  const account = { kind: 'ServiceAccount', name }
  const namespace = pick(inNamespaces)
  return pick<Subject>([
    { kind: 'User', name },
    { kind: 'Group', name },
    { apiGroup, kind: 'Group', name: `${world}-pullers` },
    { apiGroup, kind: 'Group', name: `system:serviceaccounts:${namespace}` },
    { apiGroup, kind: 'User', name: `system:serviceaccount:${namespace}:${name}` },
    { kind: 'User', name: '*' + world },
    { ...account, namespace },
    // The namespace of the binding then.
    bound === undefined ? { ...account, namespace } : account,
  ])
}

const rollBinding = (dice: Dice, world: string, inNamespaces: string[], roles: Role[], index: number) => {
  const { pick, chance, upTo } = dice
  const namespace = chance(0.2) ? undefined : pick(inNamespaces)
  const candidates = roles.filter(({ kind, metadata }) =>
    kind === 'Role' ? metadata.namespace === namespace : true,
  )
  const { kind = '', metadata } = pick(candidates)
  // Some bindings name a deleted role, or a role of another namespace.
  const roleRef = { apiGroup, kind, name: chance(0.08) ? `${world}-gone` : metadata.name }
  return {
    apiVersion,
    kind: namespace === undefined ? 'ClusterRoleBinding' : 'RoleBinding',
    metadata: { name: `${world}-${index}`, ...(namespace === undefined ? {} : { namespace }) },
    roleRef,
    subjects: times(upTo(3), () => rollSubject(dice, world, inNamespaces, namespace)),
  }
}

/** Two namespaces with roles and bindings. They are independent of the other worlds in the same cluster. */
const createWorld = (dice: Dice, index: number): World => {
  const world = `w${index}`
  const inNamespaces = [`${world}-a`, `${world}-b`]
  const role = (kind: string, name: string, namespace?: string): Role => ({
    apiVersion,
    kind,
    metadata: { name: `${world}-${name}`, ...(namespace === undefined ? {} : { namespace }) },
    rules: times(dice.upTo(2), () => rollRule(dice)),
  })
  const roles = [
    role('ClusterRole', 'one'),
    role('ClusterRole', 'two'),
    ...inNamespaces.map((namespace) => role('Role', 'one', namespace)),
    role('Role', 'only-in-b', inNamespaces[1]),
  ]
  const bindings = times(5, (number) => rollBinding(dice, world, inNamespaces, roles, number))
  const groups = [`${world}-pullers`, `${world}-ada`, `system:serviceaccounts:${inNamespaces[0]}`]
  const requesters: Requester[] = [
    ...['ada', 'ben', 'pullers'].map((name) => ({
      user: `${world}-${name}`,
      groups: ['system:authenticated'],
    })),
    ...inNamespaces.map((namespace) => ({ user: `system:serviceaccount:${namespace}:${world}-builder` })),
    ...groups.map((group) => ({ groups: [group, 'system:authenticated'] })),
    { user: '*' },
    { user: 'system:anonymous', groups: ['system:unauthenticated'] },
    { user: 'root', groups: ['system:masters'] },
  ]
  return { namespaces: inNamespaces, roles, bindings, requesters }
}

const requesterOf = ({ kind, name, namespace }: Subject, bound: string): Requester => {
  if (kind === 'Group') return { user: 'someone', groups: ['system:authenticated', name] }
  return { user: kind === 'User' ? name : `system:serviceaccount:${namespace ?? bound}:${name}` }
}

/** A right that is granted, or nearly granted, in one of the two spellings. */
const rollResource = (
  { pick, chance }: Dice,
  granted: string,
): Pick<ResourceAttributes, 'resource' | 'subresource'> => {
  const whole = granted
    .replace(/^\*/, pick(['imagestreams', 'builds', '*']))
    .replace(/\/\*$/, pick(['/layers', '/layers', '/*']))
  const [resource = '', ...rest] = whole.split('/')
  if (rest.length === 0) return chance(0.5) ? { resource } : { resource, subresource: 'layers' }
  return chance(0.35) ? { resource: whole } : { resource, subresource: rest.join('/') }
}

/** The feature of the authorizer that it tests. */
const featuresOf = (subject: Subject, binding: Binding, rule: Rule, attributes: ResourceAttributes) => [
  subject.kind,
  `${binding.kind} to ${binding.roleRef.kind}`,
  attributes.subresource === undefined ? 'in one word' : 'with a subresource',
  attributes.namespace === '' ? 'cluster-wide' : 'in a namespace',
  ...(rule.resourceNames?.length ? ['resourceNames'] : []),
  ...(rule.resources.some((text) => text.startsWith('*/')) ? ['*/subresource'] : []),
  ...([...rule.verbs, ...rule.apiGroups, ...rule.resources].includes('*') ? ['*'] : []),
]

/** A review that a binding of the world grants, sometimes with one change. */
const createQuestion = (dice: Dice, { namespaces: places, roles, bindings, requesters }: World): Question => {
  const { pick, chance } = dice
  const binding = pick(bindings)
  const subject = pick(binding.subjects)
  const role =
    roles.find(
      ({ kind, metadata: { name, namespace = binding.metadata.namespace } }) =>
        kind === binding.roleRef.kind &&
        name === binding.roleRef.name &&
        namespace === binding.metadata.namespace,
    ) ?? pick(roles)
  const rule = pick(role.rules)
  const place = binding.metadata.namespace ?? pick(places)
  const literally = (value: string, instead: string[]) => (value === '*' ? pick(instead) : value)
  const resource = chance(0.9) ? pick(rule.resources) : pick(pick(resources))
  const names = rule.resourceNames?.length ? rule.resourceNames : ['', '4.5']
  const attributes: ResourceAttributes = {
    verb: chance(0.93)
      ? literally(pick(rule.verbs), ['get', 'update', '*'])
      : pick(['get', 'delete', '*', '']),
    group: chance(0.93)
      ? literally(pick(rule.apiGroups), ['image.openshift.io', 'apps', '*'])
      : pick(['', '*']),
    ...rollResource(dice, resource),
    namespace: chance(0.85) ? place : pick([...places, ...places, '', 'ocp', 'nowhere']),
    name: chance(0.85) ? pick(names) : pick(['', '4.5', 'app', '*']),
  }
  const requester = chance(0.85) ? requesterOf(subject, place) : pick(requesters)
  return { requester, attributes, features: featuresOf(subject, binding, rule, attributes) }
}

/** The reviews that the proxy sends, for the subjects of the manifests and for others. */
const manifestQuestions = (): Question[] => {
  const account = (namespace: string, name: string): Requester => ({
    user: `system:serviceaccount:${namespace}:${name}`,
    groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'],
  })
  const requesters: Requester[] = [
    { user: 'alice', groups: ['qci-image-pullers', 'system:authenticated'] },
    { user: 'mallory', groups: ['system:authenticated'] },
    { user: 'qci-image-pullers' },
    account('my-team', 'image-puller'),
    account('ocp', 'image-puller'),
    account('ci', 'quay-proxy'),
    { user: 'system:anonymous', groups: ['system:unauthenticated'] },
  ]
  const image = { verb: 'get', group: 'image.openshift.io' }
  const pulls = [...namespaces, ''].flatMap((namespace): ResourceAttributes[] => [
    { ...image, namespace, resource: 'imagestreams', subresource: 'layers' },
    { ...image, namespace, resource: 'imagestreams', subresource: 'layers', name: '4.5' },
    { ...image, namespace, resource: 'imagestreams/layers' },
    { ...image, namespace, resource: 'imagestreams' },
    { ...image, namespace, resource: 'imagestreams', subresource: 'layers', verb: 'update' },
  ])
  const reviews: ResourceAttributes[] = [
    { verb: 'create', group: 'authentication.k8s.io', resource: 'tokenreviews' },
    { verb: 'create', group: 'authorization.k8s.io', resource: 'subjectaccessreviews' },
    { verb: 'create', group: 'authorization.k8s.io', resource: 'selfsubjectaccessreviews' },
    { verb: 'get', group: '', resource: 'secrets', namespace: 'ci' },
  ]
  return requesters.flatMap((requester) =>
    [...pulls, ...reviews].map((attributes) => ({ requester, attributes, features: ['manifests'] })),
  )
}

const inParallel = async <Item, Result>(items: readonly Item[], work: (item: Item) => Promise<Result>) => {
  const results: Result[] = []
  const queue = items.entries()
  const worker = async () => {
    for (const [index, item] of queue) results[index] = await work(item)
  }
  await Promise.all(times(atATime, worker))
  return results
}

/** Objects that the API server creates itself, `system:masters` for example. */
const readBootstrapped = async (admin: KubeConfig) => {
  const rbac = admin.makeApiClient(RbacAuthorizationV1Api)
  const lists = {
    ClusterRole: await rbac.listClusterRole(),
    ClusterRoleBinding: await rbac.listClusterRoleBinding(),
    Role: await rbac.listRoleForAllNamespaces(),
    RoleBinding: await rbac.listRoleBindingForAllNamespaces(),
  }
  // The items of a list have no kind.
  return Object.entries(lists).flatMap(([kind, { items }]) =>
    items.map((item) => Object.assign(item, { apiVersion, kind }) as KubernetesObject),
  )
}

const pull = { verb: 'get', group: 'image.openshift.io', resource: 'imagestreams', subresource: 'layers' }

/** Its authorizer watches each of the four kinds: the last object of each kind shows its progress. */
const caughtUp = async (api: ApiServer, reviewed: (question: Question) => Promise<boolean>) => {
  const rules = [{ verbs: ['get'], apiGroups: ['image.openshift.io'], resources: ['imagestreams/layers'] }]
  const named = (kind: string, name: string, namespace?: string) => ({
    apiVersion,
    kind,
    metadata: { name, ...(namespace === undefined ? {} : { namespace }) },
  })
  const bound = (kind: string, to: string) => ({
    roleRef: { apiGroup, kind: to, name: 'last' },
    subjects: [{ apiGroup, kind: 'User', name: `last-of-${kind}` }],
  })
  const last: KubernetesObject[] = [
    { ...named('Role', 'last', 'ci'), rules },
    { ...named('ClusterRole', 'last'), rules },
    { ...named('RoleBinding', 'last', 'ci'), ...bound('RoleBinding', 'Role') },
    { ...named('ClusterRoleBinding', 'last'), ...bound('ClusterRoleBinding', 'ClusterRole') },
  ]
  for (const object of last) await api.apply(object)
  for (const user of ['last-of-RoleBinding', 'last-of-ClusterRoleBinding'])
    while (!(await reviewed({ requester: { user }, attributes: { ...pull, namespace: 'ci' }, features: [] })))
      await sleep(20)
  return last
}

const judge = (rbac: Rbac, { requester: { user = '', groups = [] }, attributes }: Question) =>
  rbac.authorize({ username: user, groups, extra: {} }, attributes).allowed

await test('RBAC of the sandbox and of a kube-apiserver', { skip }, async (t) => {
  t.comment(`RBAC_SEED=${seed}`)
  const api = await startApiServer()
  t.teardown(api.close)
  const server = createApiServer({ kubeConfig: api.admin, timeoutMs: 30_000 })
  t.teardown(server.close)
  const reviewed = async ({ requester, attributes }: Question) =>
    (await server.reviewAccess({ ...requester, resourceAttributes: attributes })).allowed === true

  const dice = createDice(seed)
  const created = times(worlds, (index) => createWorld(dice, index))
  const bootstrapped = await readBootstrapped(api.admin)
  await inParallel(
    created.flatMap((world) => world.namespaces),
    (name) => api.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } }),
  )
  const generated = created.flatMap(({ roles, bindings }): KubernetesObject[] => [...roles, ...bindings])
  await inParallel(generated, api.apply)
  const last = await caughtUp(api, reviewed)

  // As in the manifests, where there is a text: the sandbox must apply the defaults of the API server itself.
  const manifests = await readManifests(join(root, 'manifests'))
  const rbac = createRbac([...bootstrapped, ...manifests, ...generated, ...last])
  const questions = [
    ...manifestQuestions(),
    ...created.flatMap((world) => times(questionsPerWorld, () => createQuestion(dice, world))),
  ]
  const answers = await inParallel(questions, reviewed)

  const differing = questions.flatMap((question, index) =>
    judge(rbac, question) === answers[index] ? [] : [{ ...question, real: answers[index] }],
  )
  t.same(differing.slice(0, 10), [], `${differing.length} of ${questions.length} answers differ`)
  t.ok(questions.length >= 2000, `${questions.length} questions`)

  // Reviews that all have the same answer would prove little.
  const features = new Set(questions.flatMap((question) => question.features))
  for (const feature of features) {
    const given = answers.filter((_, index) => questions[index]!.features.includes(feature))
    const yes = given.filter(Boolean).length
    t.comment(
      `${feature.padEnd(34)} ${String(yes).padStart(5)} yes ${String(given.length - yes).padStart(5)} no`,
    )
    t.ok(yes > 0 && yes < given.length, `${feature}: both answers`)
  }
})
