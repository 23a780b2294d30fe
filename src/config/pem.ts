/**
 * PEM files: a certificate with its private key, and certificate authorities.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'

/** PEM. */
export interface KeyPair {
  readonly cert: string
  readonly key: string
}

/** @throws {Error} if the two are not PEM, or not of one pair, as while a rotation is half done */
export const parseKeyPair = ([cert = '', key = '']: readonly string[]): KeyPair => {
  try {
    // A secure context alone accepts an empty certificate or an empty key.
    void new X509Certificate(cert)
    createPrivateKey(key)
    createSecureContext({ cert, key })
  } catch (error) {
    throw new Error(
      `they hold no PEM certificate with its unencrypted private key (${(error as Error).message})`,
      { cause: error },
    )
  }
  return { cert, key }
}

const [begin, end] = ['-----BEGIN CERTIFICATE-----', '-----END CERTIFICATE-----'] as const

const certificatesIn = (text: string): readonly string[] =>
  text
    .split(end)
    .slice(0, -1)
    .filter((part) => part.includes(begin))
    .map((part) => `${part.slice(part.indexOf(begin))}${end}`)

/** Milliseconds since the epoch: when the first certificate of a chain expires. @param pem a chain that can be parsed */
export const expiryOfChain = (pem: string): number =>
  Math.min(
    ...certificatesIn(pem).map((certificate) => new X509Certificate(certificate).validToDate.getTime()),
  )

/** @throws {Error} if there is no certificate, or one that cannot be read */
export const parseAuthorities = (text: string): string => {
  const certificates = certificatesIn(text)
  if (certificates.length === 0) throw new Error('it holds no PEM certificate')
  try {
    // A secure context ignores certificates that it cannot read.
    for (const certificate of certificates) void new X509Certificate(certificate)
  } catch (error) {
    throw new Error(`it holds a certificate that cannot be read (${(error as Error).message})`, {
      cause: error,
    })
  }
  return text
}
