/**
 * The upstream of the parts that measure bytes: files behind an nginx of its own, over http and https, without a login. Its CPU is in no
 * figure.
 */
import { createCipheriv, createHash, randomBytes } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { freePort } from '../../e2e/process.ts'
import { accessLogOf, startNginx } from './nginx.ts'
import { runTool } from './processes.ts'

export const repository = 'openshift/ci'

export interface File {
  readonly digest: string
  /** `/v2/openshift/ci/blobs/sha256:...` */
  readonly path: string
  readonly bytes: number
  /** Its file. */
  readonly file: string
}

export interface Origin extends AsyncDisposable {
  readonly url: string
  readonly tlsUrl: string
  /** Both without scheme: `127.0.0.1:8080`. */
  readonly host: string
  readonly tlsHost: string
  /** PEM file of the authority of the https server, which is its certificate, and its key. */
  readonly ca: string
  readonly key: string
  /** The file with a line for each request. */
  readonly accessLog: string
  /** A gigabyte, unless given. */
  readonly large: File
  /** 16 KiB: the size of a config or of a small layer. */
  readonly small: File
  /** 2.7 kB, by its digest. The tag `ocp_4.5_base` names it, too. */
  readonly manifest: File
  /** Another file. */
  readonly add: (bytes: number) => Promise<File>
}

export interface OriginOptions {
  readonly largeBytes?: number
  /** Of each connection: nginx's `limit_rate`. */
  readonly bytesPerSecond?: number
  /** Tells two origins in one directory apart. */
  readonly name?: string
}

export const manifestTag = 'ocp_4.5_base'
export const manifestType = 'application/vnd.oci.image.manifest.v1+json'
const tagList = JSON.stringify({ name: repository, tags: [manifestTag] })
const blobs = `/v2/${repository}/blobs`
const manifests = `/v2/${repository}/manifests`

export const startOrigin = async (
  directory: string,
  { largeBytes = 1e9, bytesPerSecond = 0, name = 'origin' }: OriginOptions = {},
): Promise<Origin> => {
  const root = join(directory, name)
  await mkdir(root + blobs, { recursive: true })
  await mkdir(root + manifests, { recursive: true })
  const large = await writeNoise(root, largeBytes)
  const small = await writeNoise(root, 16 * 1024)
  const manifest = await writeManifest(root)
  const ca = await makeCertificate(directory)
  const [port, tlsPort] = [await freePort(), await freePort()]
  const locations = `
    root ${root};
    limit_rate ${bytesPerSecond};
    location = /v2/ { default_type application/json; return 200 true; }
    # Nothing in it is restricted, which the proxy has to have seen before it is ready.
    location = /v2/${repository}/tags/list { default_type application/json; return 200 '${tagList}'; }
    location ${manifests}/ {
      default_type ${manifestType};
      add_header Docker-Content-Digest ${manifest.digest};
    }`
  const http = `
  server { listen 127.0.0.1:${port}; ${locations} }
  server {
    listen 127.0.0.1:${tlsPort} ssl;
    ssl_certificate ${ca};
    ssl_certificate_key ${keyFile(directory)};
    ssl_protocols TLSv1.2 TLSv1.3;
    ${locations}
  }`
  const nginx = await startNginx({ directory, name, port, http })
  const [host, tlsHost] = [`127.0.0.1:${port}`, `127.0.0.1:${tlsPort}`]
  return {
    url: `http://${host}`,
    tlsUrl: `https://${tlsHost}`,
    host,
    tlsHost,
    ca,
    key: keyFile(directory),
    accessLog: accessLogOf({ directory, name }),
    large,
    small,
    manifest,
    add: async (bytes) => await writeNoise(root, bytes),
    [Symbol.asyncDispose]: async () => await nginx[Symbol.asyncDispose](),
  }
}

/** Bytes that repeat nowhere, so that the digest finds two chunks in the wrong order. */
const writeNoise = async (root: string, bytes: number): Promise<File> => {
  const cipher = createCipheriv('aes-128-ctr', randomBytes(16), randomBytes(16))
  const zeros = Buffer.alloc(1024 * 1024)
  const hash = createHash('sha256')
  const noise = function* () {
    for (let left = bytes; left > 0; left -= zeros.length) {
      const piece = cipher.update(left < zeros.length ? zeros.subarray(0, left) : zeros)
      hash.update(piece)
      yield piece
    }
  }
  const unnamed = join(root, `noise-${bytes}`)
  await pipeline(Readable.from(noise()), createWriteStream(unnamed))
  const digest = `sha256:${hash.digest('hex')}`
  const path = `${blobs}/${digest}`
  await rename(unnamed, root + path)
  return { digest, path, bytes, file: root + path }
}

/** As large as the manifest of an image with sixteen layers. */
const writeManifest = async (root: string): Promise<File> => {
  const descriptor = (mediaType: string) => {
    const digest = `sha256:${randomBytes(32).toString('hex')}`
    return { mediaType, digest, size: 32_654 }
  }
  const body = JSON.stringify({
    schemaVersion: 2,
    mediaType: manifestType,
    config: descriptor('application/vnd.oci.image.config.v1+json'),
    layers: Array.from({ length: 16 }, () => descriptor('application/vnd.oci.image.layer.v1.tar+gzip')),
  })
  const digest = `sha256:${createHash('sha256').update(body).digest('hex')}`
  const path = `${manifests}/${digest}`
  await writeFile(root + path, body)
  await writeFile(`${root}${manifests}/${manifestTag}`, body)
  return { digest, path, bytes: body.length, file: root + path }
}

const keyFile = (directory: string): string => join(directory, 'key.pem')

/** Signed by itself, valid for two days. */
const makeCertificate = async (directory: string): Promise<string> => {
  const file = join(directory, 'certificate.pem')
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost']
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const files = ['-keyout', keyFile(directory), '-out', file]
  await runTool('openssl', ['req', '-x509', '-days', '2', ...key, ...subject, ...files])
  return file
}
