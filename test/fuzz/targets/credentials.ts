/** What clients show, in whatever form: nothing of it may be written down, or come back. */
import { setTimeout as sleep } from 'node:timers/promises'
import { answersIn, exchange, mustBeOci } from '../exchange.ts'
import type { Random } from '../random.ts'
import { startSystem, type System } from '../system.ts'
import { must, type Running, type Target } from '../target.ts'

const letters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'
const crlf = '\r\n'
/** Characters of a secret that are found nowhere by chance. */
const telling = 10

const base64 = (text: string): string => Buffer.from(text).toString('base64')

/** Things that look like a credential of some kind, around a secret. */
const secretFrom = (random: Random): string => {
  const secret = random.text(letters, 40)
  return random.pick([
    () => `sha256~${secret}`,
    () => secret,
    () =>
      `${base64('{"alg":"HS256"}')}.${base64(`{"iss":"${random.pick(['quay-proxy', 'x'])}","exp":${random.pick([1, 2e9, '"x"', '{}'])}}`)}.${secret}`,
    () => `ey.${secret}.${secret}`,
    () => `{"token":"${secret}"`,
    () => `http://x/?${secret}`,
    () => `$(oc whoami -t)${secret}`,
    () => `"${secret}"`,
  ])()
}

const headerFrom = (random: Random, secret: string): string =>
  random.pick([
    () => `Bearer ${secret}`,
    () => `bearer   ${secret}  `,
    () => `Bearer "${secret}"`,
    () => `Bearer ${secret} ${secret}`,
    () => `Bearer ${secret},${secret}`,
    () => `Basic ${base64(`x:${secret}`)}`,
    () => `Basic ${base64(`x:y:${secret}`)}`,
    () => `Basic ${base64(secret)}`,
    () => `Basic x:${secret}`,
    () => `Basic ${secret}`,
    () => `Digest ${secret}`,
    () => secret,
    () =>
      `Bearer ${random
        .mutated(Buffer.from(secret))
        .toString('latin1')
        .replaceAll(/[\r\n\0]/g, '')}`,
    () => `Bearer ${'x'.repeat(17_000)}${secret}`,
    () => `${secret}: Bearer`,
  ])()

const requestFrom = (random: Random, secret: string, path: string): string => {
  // Each from an address of its own: one has so many tries.
  const from = `X-Forwarded-For: 2001:db8:${random.some(['1', 'a', '7', 'ff'], 2).join('')}:${random.text('0123456789abcdef', 4)}::1`
  const header = headerFrom(random, secret)
  const form = new URLSearchParams({
    grant_type: random.pick(['password', 'refresh_token', 'x']),
    password: secret,
    refresh_token: secret,
    username: 'x',
    service: 'x',
  }).toString()
  const json = JSON.stringify({ secret })
  const get = (target: string, ...fields: readonly string[]) => [`GET ${target} HTTP/1.1`, ...fields, '', '']
  const post = (type: string, body: string) => [
    'POST /v2/auth HTTP/1.1',
    `Content-Type: ${type}`,
    `Content-Length: ${body.length}`,
    '',
    body,
  ]
  const shown = `Authorization: ${header}`
  const [line = '', ...rest] = random.pick([
    () => get(path, shown),
    () => get(path, shown, `Authorization: ${headerFrom(random, secret)}`),
    () => get(`/v2/auth?service=x&scope=${encodeURIComponent(`repository:${secret}:pull`)}`, shown),
    () => post('application/x-www-form-urlencoded', form),
    () => post('application/json', json),
    // Not in the place of a credential, and not HTTP at all.
    () => get(path, `X-Registry-Auth: ${header}`, `Cookie: a=${secret}`),
    () => get(path, `Authorization${random.pick([' ', '\0', '\n'])}: ${header}`),
    () => get(`${path}?token=${encodeURIComponent(secret)}`, shown),
  ])()
  return [line, 'Host: x', from, 'Connection: close', ...rest].join(crlf)
}

/** Parts of a secret, in plain text and in base64 at each of the three possible offsets. */
const partsOf = (secret: string): string[] =>
  [secret, ...['xxx', 'xxxx', 'xxxxx'].map((before) => base64(before + secret).slice(8))].flatMap((text) =>
    Array.from({ length: Math.max(0, text.length - telling) }, (_, at) => text.slice(at, at + telling)),
  )

class Credentials implements Running {
  readonly #system: System
  #seen = 0

  constructor(system: System) {
    this.#system = system
  }

  async run(random: Random): Promise<void> {
    const { url, log } = this.#system
    const secret = secretFrom(random)
    const path = random.pick([
      '/v2/',
      '/v2/ocp/4.5/manifests/base',
      '/v2/auth?service=x',
      '/v2/auth?account=x',
      '/v2/openshift/ci/tags/list',
    ])
    const from = log.length
    const { received, isClosed } = await exchange(
      url,
      [Buffer.from(requestFrom(random, secret, path), 'latin1')],
      { silenceMs: 10_000 },
    )
    must(isClosed, 'the connection is closed')
    const answers = answersIn(received)
    must(answers.length === 1, 'there is an answer', received.toString('latin1'))
    answers.forEach(mustBeOci)
    must((answers[0]?.status ?? 0) >= 400, 'nobody is let in by what is made up', answers[0]?.status)
    // The line is written once the answer is through.
    await sleep(5)
    const [core = ''] = /[a-zA-Z0-9]{40}/.exec(secret) ?? []
    const answer = received.toString('latin1')
    const written = log.slice(from).join('')
    const found = partsOf(core).filter((part) => written.includes(part) || answer.includes(part))
    must(found.length === 0, 'nothing of a credential is written down or comes back', {
      found: found[0],
      secret,
      answer,
      lines: log.slice(from).filter((line) => found.some((part) => line.includes(part))),
    })
    this.#seen += 1
    if (this.#seen % 200 === 0) await this.#others()
  }

  async #others(): Promise<void> {
    const { url, alice } = this.#system
    const { status } = await fetch(`${url}/v2/`, { headers: { authorization: `Bearer ${alice}` } })
    must(status === 200, 'who is known is let in beside all that', status)
  }

  async close(): Promise<void> {
    await this.#system.close()
  }
}

export const credentials: Target = {
  name: 'credentials',
  about: 'nothing of a credential gets into a log or an answer, and none that is made up lets anybody in',
  parallel: 8,
  start: async () => new Credentials(await startSystem(['--trusted-proxies=127.0.0.1'])),
}
