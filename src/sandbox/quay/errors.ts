/** Errors and challenges in the words of quay. */
import { jsonAnswer } from './answers.ts'
import type { Answer } from './answers.ts'
import type { Exchange } from './origin.ts'

/** Statuses and texts of quay's endpoints/v2/errors.py. TAG_EXPIRED is quay's own code, unknown to the OCI spec. */
const quayErrors = {
  INVALID_REQUEST: [400, 'Invalid request'],
  MANIFEST_INVALID: [400, 'manifest invalid'],
  UNAUTHORIZED: [401, 'access to the requested resource is not authorized'],
  NAME_UNKNOWN: [404, 'repository name not known to registry'],
  MANIFEST_UNKNOWN: [404, 'manifest unknown'],
  TAG_EXPIRED: [404, 'Tag was deleted or has expired. To pull, revive via time machine'],
  BLOB_UNKNOWN: [404, 'blob unknown to registry'],
  BLOB_UPLOAD_UNKNOWN: [404, 'blob upload unknown to registry'],
  DIGEST_INVALID: [400, 'provided digest did not match uploaded content'],
} as const satisfies Record<string, readonly [status: number, message: string]>

export type QuayErrorCode = keyof typeof quayErrors

/** Present on every 401 and on the ping. Source: quay auth/registry_jwt_auth.py, endpoints/v2/__init__.py */
export const apiVersion = { 'docker-distribution-api-version': 'registry/2.0' } as const

/** quay writes `detail: {}` where others leave it out; ggcr prints it as `map[]`. */
export const quayError = (code: QuayErrorCode, headers: Readonly<Record<string, string>> = {}): Answer => {
  const [status, message] = quayErrors[code]
  return jsonAnswer(status, { errors: [{ code, message, detail: {} }] }, headers)
}

/** One line, as get_auth_headers of quay writes it; `scope` only if a repository is known. */
export const challenge = ({ url }: Exchange, repository?: string): Readonly<Record<string, string>> => {
  const scope = repository === undefined ? '' : `,scope="repository:${repository}:pull"`
  return {
    ...apiVersion,
    'www-authenticate': `Bearer realm="${url.origin}/v2/auth",service="${url.host}"${scope}`,
  }
}
