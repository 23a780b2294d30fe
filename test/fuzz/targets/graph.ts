/** Pushes, tags and pulls in any order, by people of all kinds: each answer is held against a model of the graph. */
import { createHash } from 'node:crypto'
import type { Content } from '../../../src/sandbox/quay/images.ts'
import { readManifests, type KubernetesObject } from '../../../src/sandbox/app-ci/rbac.ts'
import { GraphModel, type Node, type Person, type Place } from '../graph-model.ts'
import type { Random } from '../random.ts'
import { acceptAll, pullerBinding, startSystem, type System } from '../system.ts'
import { must, type Running, type Target } from '../target.ts'

const types = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar+gzip',
}
type Digest = `sha256:${string}`

const digestOf = (body: Buffer): Digest => `sha256:${createHash('sha256').update(body).digest('hex')}`

interface Stored extends Node {
  readonly body: Buffer
  readonly mediaType: string
  /** Levels below it: the proxy follows so many. */
  readonly levels: number
}

interface Tag {
  readonly qciTag: string
  readonly place: Place
  /** How the image stream form calls it, where it has one. */
  readonly path: readonly [repository: string, tag: string] | undefined
  readonly digests: string[]
}

/** One system and all that a case has put there; names are made of the seed. */
class Play {
  readonly #system: System
  readonly #random: Random
  readonly #salt: string
  readonly #model: GraphModel
  readonly #people: readonly Person[]
  readonly #namespaces: readonly string[]
  readonly #stored: Stored[] = []
  readonly #tags = new Map<string, Tag>()
  /** For people who have to understand a failure. */
  readonly #steps: string[] = []

  constructor(
    system: System,
    random: Random,
    seed: number,
    opensUnknown: boolean,
    people: readonly Person[],
    namespaces: readonly string[],
  ) {
    this.#system = system
    this.#random = random
    this.#salt = seed.toString(36)
    this.#model = new GraphModel(opensUnknown)
    this.#people = people
    this.#namespaces = namespaces
  }

  async run(): Promise<void> {
    for (let count = 3; count > 0; count--) this.#push()
    for (let count = 3; count > 0; count--) this.#tag()
    for (let step = 10 + this.#random.below(25); step > 0; step--) {
      const act = this.#random.below(12)
      if (act === 0) this.#push()
      else if (act < 3) this.#tag()
      else if (act < 7) await this.#pullTag()
      else if (act < 11) await this.#pullDigest()
      else await this.#referrers()
    }
  }

  #push(): void {
    const random = this.#random
    const blob = (): Stored =>
      this.#store(Buffer.from(`${this.#salt} ${this.#stored.length}`), 'blob', [], [], undefined)
    const known = (isManifest: boolean) =>
      this.#stored.filter((one) => one.isManifest === isManifest && one.levels < 3)
    const oneOf = (candidates: readonly Stored[], other: () => Stored) =>
      candidates.length > 0 && random.chance(0.6) ? random.pick(candidates) : other()
    const subject = random.chance(0.3) && known(true).length > 0 ? random.pick(known(true)) : undefined
    if (random.chance(0.35) && known(true).length > 0) {
      const children = random.some(known(true), 1 + random.below(3))
      this.#document(
        types.index,
        { manifests: children.map((child) => this.#describe(child)) },
        children,
        [],
        subject,
      )
      return
    }
    const config = oneOf([], blob)
    const layers = Array.from({ length: 1 + random.below(3) }, () => oneOf(known(false), blob))
    // A manifest that is called a layer is one by its digest all the same, and nothing below it is followed.
    const disguised = random.chance(0.15) && known(true).length > 0 ? [random.pick(known(true))] : []
    const fields = {
      config: { ...this.#describe(config), mediaType: types.config },
      layers: [...layers, ...disguised].map((layer) => ({
        ...this.#describe(layer),
        mediaType: types.layer,
      })),
    }
    this.#document(types.manifest, fields, [], [config, ...layers, ...disguised], subject)
  }

  #document(
    mediaType: string,
    fields: object,
    manifests: readonly Stored[],
    blobs: readonly Stored[],
    subject: Stored | undefined,
  ): void {
    const said =
      subject === undefined ? {} : { artifactType: 'application/x', subject: this.#describe(subject) }
    const body = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType,
        ...fields,
        ...said,
        annotations: { salt: `${this.#salt} ${this.#stored.length}` },
      }),
    )
    const digestsOf = (all: readonly Stored[]) => all.map(({ digest }) => digest)
    this.#store(
      body,
      mediaType,
      digestsOf(manifests),
      digestsOf(blobs),
      subject?.digest,
      1 + Math.max(0, ...manifests.map(({ levels }) => levels)),
    )
  }

  #describe({ mediaType, digest, body }: Stored) {
    return { mediaType, digest, size: body.length }
  }

  #store(
    body: Buffer,
    mediaType: string,
    manifests: readonly string[],
    blobs: readonly string[],
    subject: string | undefined,
    levels = 0,
  ): Stored {
    const digest = digestOf(body)
    const stored: Stored = {
      digest,
      body,
      mediaType,
      manifests,
      blobs,
      subject,
      levels,
      isManifest: levels > 0,
    }
    this.#stored.push(stored)
    this.#model.nodes.set(digest, stored)
    this.#system.quay.push(this.#contentOf(stored))
    this.#steps.push(
      `push ${digest.slice(7, 13)} ${stored.isManifest ? 'names' : 'blob'} ${[...manifests, ...blobs].map((one) => one.slice(7, 13)).join(' ')}${subject === undefined ? '' : ` subject ${subject.slice(7, 13)}`}`,
    )
    return stored
  }

  #contentOf({ digest, body, mediaType, isManifest }: Stored): Content {
    const one = { digest: digest as Digest, body, mediaType }
    return {
      ...one,
      manifests: isManifest ? [one] : [],
      blobs: new Map(isManifest ? [] : [[digest as Digest, body]]),
    }
  }

  #tag(): void {
    const random = this.#random
    const manifest = random.pick(this.#stored.filter(({ isManifest }) => isManifest))
    const { qciTag, place, path } = this.#tagName()
    const tag = this.#tags.get(qciTag) ?? { qciTag, place, path, digests: [] }
    tag.digests.push(manifest.digest)
    this.#tags.set(qciTag, tag)
    this.#model.tagged(place, manifest.digest)
    this.#system.quay.tag(qciTag, this.#contentOf(manifest))
    this.#steps.push(`tag ${qciTag} -> ${manifest.digest.slice(7, 13)}`)
  }

  #tagName(): Omit<Tag, 'digests'> {
    const random = this.#random
    if (random.chance(0.1))
      return {
        qciTag: `rc_payload__${this.#salt}_${random.below(2)}`,
        place: { by: 'nobody' },
        path: undefined,
      }
    const attached = random.pick(this.#stored.filter(({ isManifest }) => isManifest)).digest
    if (random.chance(0.1))
      return {
        qciTag: `sha256-${attached.slice(7)}.${random.pick(['sig', 'att'])}`,
        place: { by: 'digest', digest: attached },
        path: undefined,
      }
    const namespace = random.pick(this.#namespaces)
    const [name, tag] = ['x', random.pick(['a', 'b', 'c'])]
    const place: Place = { by: 'namespace', namespace }
    const qciTag = `${namespace}_${name}_${tag}`
    const family = random.pick([
      undefined,
      undefined,
      undefined,
      `${random.text('0123456789', 14)}_prune_`,
      'art__',
      '__ci_images_mirror__',
    ])
    if (family !== undefined) return { qciTag: `${family}${qciTag}`, place, path: undefined }
    return { qciTag, place, path: [`${namespace}/${name}`, tag] }
  }

  async #pullTag(): Promise<void> {
    const random = this.#random
    const person = random.pick(this.#people)
    const tag = random.pick([...this.#tags.values()])
    const [repository, reference] =
      tag.path !== undefined && random.chance(0.5) ? tag.path : ['openshift/ci', tag.qciTag]
    const method = random.pick(['GET', 'GET', 'HEAD'] as const)
    const response = await this.#send(person, method, `${repository}/manifests/${reference}`)
    const said = {
      person: person.name,
      asked: `${method} ${repository}/manifests/${reference}`,
      status: response.status,
    }
    const { place } = tag
    const [mustBe, mustNotBe] = this.#ofTag(person, tag)
    this.#judge(response.status, mustBe, mustNotBe, said)
    if (response.status !== 200) return
    const digest = response.headers.get('docker-content-digest') ?? ''
    must(tag.digests.includes(digest), 'a tag gives what it was set to', { ...said, digest })
    this.#model.served(place, digest, method === 'GET')
  }

  /** Whether it has to be served, and whether it must not be. */
  #ofTag(person: Person, { place, digests }: Tag): readonly [boolean, boolean] {
    if (place.by === 'namespace') {
      const mayPull = this.#model.mayPullOf(person, place.namespace)
      return [mayPull, !mayPull]
    }
    if (place.by === 'digest')
      return [
        this.#model.must(person, place.digest, undefined),
        this.#model.mustNot(person, place.digest, undefined),
      ]
    // Nobody's tag opens nothing that a restricted one reaches.
    const isClosed = digests.every((digest) => this.#model.mustNot(person, digest, undefined))
    return [
      person.isQciWide && !digests.some((digest) => this.#model.isOfRestricted(digest)),
      !person.isQciWide || isClosed,
    ]
  }

  async #pullDigest(): Promise<void> {
    const random = this.#random
    const person = random.pick(this.#people)
    const stored = random.pick(this.#stored)
    const within = random.chance(0.5) ? undefined : random.pick(this.#namespaces)
    const repository = within === undefined ? 'openshift/ci' : `${within}/x`
    const path = `${repository}/${stored.isManifest ? 'manifests' : 'blobs'}/${stored.digest}`
    const method = random.pick(['GET', 'GET', 'HEAD'] as const)
    const response = await this.#send(person, method, path)
    const said = { person: person.name, asked: `${method} ${path}`, status: response.status }
    this.#judge(
      response.status,
      this.#model.must(person, stored.digest, within),
      this.#model.mustNot(person, stored.digest, within),
      said,
    )
    if (response.status === 200 && stored.isManifest)
      this.#model.served(undefined, stored.digest, method === 'GET')
  }

  async #referrers(): Promise<void> {
    const random = this.#random
    const person = random.pick(this.#people)
    const { digest } = random.pick(this.#stored.filter(({ isManifest }) => isManifest))
    const within = random.chance(0.5) ? undefined : random.pick(this.#namespaces)
    const path = `${within === undefined ? 'openshift/ci' : `${within}/x`}/referrers/${digest}`
    const response = await this.#send(person, 'GET', path)
    const said = { person: person.name, asked: path, status: response.status }
    this.#judge(
      response.status,
      this.#model.must(person, digest, within),
      this.#model.mustNot(person, digest, within),
      said,
    )
    if (response.status !== 200) return
    const { manifests } = JSON.parse(response.text) as { manifests: readonly { digest: string }[] }
    const told = manifests.filter((one) => this.#model.mustNot(person, one.digest, within, true))
    must(told.length === 0, 'what may not be pulled is in no list', { ...said, told, steps: this.#steps })
  }

  #judge(status: number, mustBe: boolean, mustNotBe: boolean, said: object): void {
    this.#steps.push(Object.values(said).join(' '))
    const steps = this.#steps.slice(-60)
    must(status === 200 || status === 403, 'it is served or refused', { ...said, steps })
    must(!(mustBe && mustNotBe), 'the model knows what it wants', { ...said, steps })
    if (mustBe) must(status === 200, 'what a tag reaches that they may pull is served', { ...said, steps })
    if (mustNotBe) must(status === 403, 'what no open tag reaches stays closed', { ...said, steps })
  }

  async #send({ token }: Person, method: string, path: string) {
    const response = await fetch(`${this.#system.url}/v2/${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, accept: acceptAll },
    })
    return { status: response.status, headers: response.headers, text: await response.text() }
  }
}

class Graphs implements Running {
  readonly #systems: Readonly<Record<'allow' | 'deny', System>>
  readonly #rbac: readonly KubernetesObject[]
  readonly #bindings = new Map<number, readonly KubernetesObject[]>()

  constructor(systems: Readonly<Record<'allow' | 'deny', System>>, rbac: readonly KubernetesObject[]) {
    this.#systems = systems
    this.#rbac = rbac
  }

  async run(random: Random, seed: number): Promise<void> {
    const unknown = random.pick(['allow', 'deny'] as const)
    const system = this.#systems[unknown]
    const salt = seed.toString(36)
    const namespaces = [`open-${salt}`, `team-${salt}`, `mine-${salt}-priv`, `theirs-${salt}-priv`]
    const [, team = '', mine = '', theirs = ''] = namespaces
    const puller = (namespace: string): Person => ({
      name: namespace,
      token: system.kubernetes.issueServiceAccountToken({ namespace, name: 'puller' }),
      isQciWide: false,
      namespaces: [namespace],
    })
    const people: readonly Person[] = [
      { name: 'alice', token: system.alice, isQciWide: true, namespaces: [] },
      puller(team),
      puller(mine),
      puller(theirs),
      {
        name: 'mallory',
        token: system.kubernetes.issueUserToken({ username: `mallory-${salt}`, groups: [] }),
        isQciWide: false,
        namespaces: [],
      },
    ]
    this.#bindings.set(
      seed,
      [team, mine, theirs].map((namespace) => pullerBinding(namespace, { namespace, name: 'puller' })),
    )
    this.#apply()
    try {
      await new Play(system, random, seed, unknown === 'allow', people, namespaces).run()
    } finally {
      this.#bindings.delete(seed)
    }
  }

  #apply(): void {
    const objects = [...this.#rbac, ...[...this.#bindings.values()].flat()]
    for (const { kubernetes } of Object.values(this.#systems)) kubernetes.replaceObjects(objects)
  }

  async close(): Promise<void> {
    await Promise.all(Object.values(this.#systems).map(async (system) => await system.close()))
  }
}

export const graph: Target = {
  name: 'graph',
  about: 'what an open tag does not reach stays closed, and what a tag reaches that one may pull is served',
  parallel: 12,
  shares: 4,
  start: async () => {
    const rbac = (await Promise.all(['manifests/rbac', 'manifests/examples'].map(readManifests))).flat()
    const [allow, deny] = [await startSystem(), await startSystem(['--unknown-digests=deny'])]
    return new Graphs({ allow, deny }, rbac)
  },
}
