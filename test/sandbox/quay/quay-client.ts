import type { Test } from 'tap'
import { request } from 'undici'
import { allPlatforms, buildImage } from '../../../src/sandbox/quay/images.ts'
import type { Image, ImageOptions } from '../../../src/sandbox/quay/images.ts'
import { startQuay } from '../../../src/sandbox/quay/quay.ts'
import type { Quay, QuayOptions } from '../../../src/sandbox/quay/quay.ts'

export const robot = { username: 'openshift+ci_pull', password: 'hunter2' }

export interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Buffer
}

/** A quay that lives as long as the test. */
export async function quayFor(test: Test, options: Partial<QuayOptions> = {}): Promise<Quay> {
  const quay = await startQuay({ robot, ...options })
  test.teardown(() => quay.close())
  return quay
}

export function smallImage(options: Partial<ImageOptions> = {}): Promise<Image> {
  return buildImage({
    name: 'small',
    platforms: allPlatforms,
    layers: 1,
    layerBytes: 2000,
    format: 'oci',
    ...options,
  })
}

export async function ask(url: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Reply> {
  const response = await request(url, { headers, method })
  const body = Buffer.from(await response.body.arrayBuffer())
  return { status: response.statusCode, headers: response.headers, body }
}

export function basic({ username, password } = robot): { authorization: string } {
  return { authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` }
}

export function tokenUrl(quay: Quay, scopes = [`repository:${quay.repository}:pull`]): string {
  const query = new URLSearchParams({ service: new URL(quay.url).host })
  for (const scope of scopes) query.append('scope', scope)
  return `${quay.url}/v2/auth?${query}`
}

/** The Authorization header a robot gets for itself. */
export async function login(quay: Quay, scopes?: string[]): Promise<{ authorization: string }> {
  const { body } = await ask(tokenUrl(quay, scopes), basic())
  const { token } = JSON.parse(body.toString()) as { readonly token: string }
  return { authorization: `Bearer ${token}` }
}

export function errorOf({ status, body }: Reply): string {
  const { errors } = JSON.parse(body.toString()) as { errors: Array<{ code: string; detail: object }> }
  return `${status} ${errors.map(({ code, detail }) => `${code} ${JSON.stringify(detail)}`).join()}`
}
