/** Lists of tags, and where they go on: cursors that are forged, cut, swapped between lists and requesters. */
import type { Random } from '../random.ts'
import { pullerBinding, startSystem, type System } from '../system.ts'
import { must, type Running, type Target } from '../target.ts'
import { smallImage } from '../../sandbox/quay/quay-client.ts'
import { readManifests } from '../../../src/sandbox/app-ci/rbac.ts'

interface Requester {
  readonly token: string
  /** Whether a tag of the monorepo is one that they may see. */
  readonly mayList: (tag: string) => boolean
}

interface Page {
  readonly status: number
  readonly tags: readonly string[]
  /** `last` of the Link to the next page. */
  readonly next: string | undefined
  readonly text: string
}

const lists = ['openshift/ci', 'open/a', 'open/b', 'team/app', 'h1-priv/x', 'nobody/x'] as const
type List = (typeof lists)[number]

/** Hidden ones stand between the others, so that lists end behind them. */
const hidden = [
  'a1-priv_x_cve-2026-1',
  'h1-priv_x_cve-2026-31337',
  'h1-priv_x_embargo-h',
  'open-priv_b_embargo-o',
  'zz-priv_x_embargo-z',
]
const shown = [
  'open_a_1',
  'open_a_2',
  'open_a_3',
  'open_b_1',
  'open_b_2',
  'team_app_1',
  'team_app_2',
  'team_app_3',
]

interface Cursor {
  readonly last: string
  readonly list: List
  readonly requester: number
}

class Cursors implements Running {
  readonly #system: System
  readonly #requesters: readonly Requester[]
  /** Real ones, as they were given. */
  readonly #cursors: Cursor[] = []

  constructor(system: System, requesters: readonly Requester[]) {
    this.#system = system
    this.#requesters = requesters
  }

  /** All pages of all users. The test mutates their Links. */
  async prepare(): Promise<void> {
    for (const requester of this.#requesters.keys())
      for (const list of lists)
        for (const n of [1, 2, 3]) {
          const seen: string[] = []
          let last: string | undefined
          do {
            const page = await this.#list(requester, list, String(n), last)
            this.#judge(requester, list, page)
            seen.push(...page.tags)
            if (page.next !== undefined) this.#cursors.push({ last: page.next, list, requester })
            last = page.next
          } while (last !== undefined)
          must(new Set(seen).size === seen.length, 'no tag comes twice', seen)
        }
    must(
      this.#cursors.some(({ last }) => last.startsWith('~')),
      'some of them are sealed',
    )
  }

  async run(random: Random): Promise<void> {
    const cursor = random.pick(this.#cursors)
    const requester = random.below(this.#requesters.length)
    const list = random.pick(lists)
    const isSealed = cursor.last.startsWith('~')
    const change = random.pick(['none', 'swap', 'mutate', 'forge'] as const)
    if (change === 'none') {
      const page = await this.#list(
        cursor.requester,
        cursor.list,
        random.pick(['1', '2', '100']),
        cursor.last,
      )
      must(page.status === 200, 'where a list ended, it goes on', { ...cursor, text: page.text })
      this.#judge(cursor.requester, cursor.list, page)
      return
    }
    const last =
      change === 'swap' ? cursor.last : change === 'mutate' ? mutated(random, cursor.last) : forged(random)
    const page = await this.#list(
      requester,
      list,
      random.pick(['1', '2', '100', '0', '-1', '1e9', 'x', '']),
      last,
    )
    this.#judge(requester, list, page)
    const isOwn = last === cursor.last && cursor.requester === requester && cursor.list === list
    // What begins with the mark is ours or nobody's.
    if (last.startsWith('~') && (!isSealed || !isOwn))
      must(page.status >= 400, 'a cursor is good for one list of one requester', {
        cursor,
        list,
        requester,
        text: page.text,
      })
  }

  async close(): Promise<void> {
    await this.#system.close()
  }

  #judge(requester: number, list: List, { status, tags, next, text }: Page): void {
    must([200, 400, 403, 404].includes(status), 'a list, or a refusal', { status, text })
    const { mayList } = this.#requesters[requester] as Requester
    const prefix = list === 'openshift/ci' ? '' : `${list.replace('/', '_')}_`
    const all = [...hidden, ...shown]
      .filter((tag) => tag.startsWith(prefix) && mayList(tag))
      .map((tag) => tag.slice(prefix.length))
    const stock = prefix === '' ? this.#system.stock.tags.map(({ tag }) => tag).filter(mayList) : []
    const foreign = tags.filter((tag) => !all.includes(tag) && !stock.includes(tag))
    must(foreign.length === 0, 'nobody sees what is hidden', { foreign, list, requester })
    const secrets = hidden.filter((tag) => !mayList(tag)).flatMap((tag) => [tag, tag.split('_')[2] ?? tag])
    const told = secrets.filter((secret) => text.includes(secret) || (next ?? '').includes(secret))
    must(told.length === 0, 'nor is it told', { told, text, next })
  }

  async #list(requester: number, list: List, n: string, last: string | undefined): Promise<Page> {
    const { token } = this.#requesters[requester] as Requester
    const query = new URLSearchParams({ n, ...(last === undefined ? {} : { last }) })
    const response = await fetch(`${this.#system.url}/v2/${list}/tags/list?${query}`, {
      headers: { authorization: `Bearer ${token}` },
    })
    const text = await response.text()
    const link = /^<([^>]*)>; rel="next"$/.exec(response.headers.get('link') ?? '')?.[1]
    const tags = response.ok ? (JSON.parse(text) as { tags: readonly string[] }).tags : []
    const next =
      link === undefined ? undefined : (new URL(link, this.#system.url).searchParams.get('last') ?? undefined)
    return { status: response.status, tags, next, text }
  }
}

/** What a browser or a client makes of it, or somebody on purpose. */
const mutated = (random: Random, last: string): string =>
  random.pick([
    () => random.mutated(Buffer.from(last)).toString('latin1'),
    () => last.slice(0, random.below(last.length)),
    () => `${last}${random.text('aA0._-~', 1)}`,
    () => last.split('.').toReversed().join('.'),
    () => last.slice(1),
    () => `~${last}`,
  ])()

const header = (fields: object): string => Buffer.from(JSON.stringify(fields)).toString('base64url')

const forged = (random: Random): string =>
  random.pick([
    () =>
      `~${header({ alg: 'dir', enc: 'A256GCM' })}..${random.text('abcdefg', 16)}.${random.text('abcdefg', 60)}.${random.text('abcdefg', 22)}`,
    () =>
      `~${header({ alg: 'PBES2-HS256+A128KW', enc: 'A128GCM', p2c: 1e9, p2s: 'AAAAAAAAAAA' })}.AAAA.AAAA.AAAA.AAAA`,
    () =>
      `~${header({ alg: 'dir', enc: 'A256GCM', zip: 'DEF' })}..AAAAAAAAAAAAAAAA.AAAA.AAAAAAAAAAAAAAAAAAAAAA`,
    () => `~${header({ alg: 'none' })}.${header({ after: 'h1-priv_x', emptyPages: '1' })}.`,
    () => '~',
    () => '~....',
    () => random.pick(hidden),
    () => random.pick(hidden).slice(0, 8),
    () => random.bytes(random.below(400)).toString('latin1'),
    () => 'a'.repeat(5000),
  ])()

const account = { namespace: 'team', name: 'puller' }

const start = async (): Promise<Running> => {
  const system = await startSystem()
  const { kubernetes, quay, alice } = system
  const rbac = await Promise.all(['manifests/rbac', 'manifests/examples'].map(readManifests))
  kubernetes.replaceObjects([
    ...rbac.flat(),
    pullerBinding('team', account),
    pullerBinding('h1-priv', { namespace: 'h1-priv', name: 'puller' }),
  ])
  quay.tagMany([...hidden, ...shown], await smallImage())
  const isHidden = (tag: string) => /^[a-z0-9-]+-priv_/.test(tag)
  const requesters: Requester[] = [
    { token: alice, mayList: (tag) => !isHidden(tag) },
    { token: kubernetes.issueServiceAccountToken(account), mayList: (tag) => tag.startsWith('team_') },
    {
      token: kubernetes.issueServiceAccountToken({ namespace: 'h1-priv', name: 'puller' }),
      mayList: (tag) => tag.startsWith('h1-priv_'),
    },
    { token: kubernetes.issueUserToken({ username: 'mallory', groups: [] }), mayList: () => false },
  ]
  const cursors = new Cursors(system, requesters)
  await cursors.prepare()
  return cursors
}

export const cursors: Target = {
  name: 'cursors',
  about: 'a cursor is good for one list of one requester, and no list tells a hidden name',
  parallel: 4,
  start,
}
