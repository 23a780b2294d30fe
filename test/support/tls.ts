/** Certificates for TLS servers of tests. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface KeyPair {
  readonly key: Buffer
  readonly cert: Buffer
}

const create = (): KeyPair => {
  const folder = mkdtempSync(join(tmpdir(), 'quay-proxy-tls-'))
  try {
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
    const name = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost']
    const algorithm = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
    const command = ['req', '-x509', '-days', '1', ...algorithm, ...name, '-keyout', key, '-out', cert]
    execFileSync('openssl', command, { stdio: 'ignore' })
    return { key: readFileSync(key), cert: readFileSync(cert) }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

let first: KeyPair | undefined

/**
 * A certificate for localhost, the same one in the whole process. Give `cert` to the client as its CA, because no well-known CA has signed
 * it.
 */
export const selfSigned = (): KeyPair => (first ??= create())

/** A certificate that no other call returns. */
export const anotherSelfSigned = (): KeyPair => create()
