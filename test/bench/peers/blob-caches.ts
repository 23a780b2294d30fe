/** What is measured instead of the proxy's cache of blobs: `proxy_cache` of nginx, and CNCF distribution as a pull-through cache. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { answers, freePort } from '../../e2e/process.ts'
import { startNginx } from '../system/nginx.ts'
import type { Origin } from '../system/origin.ts'
import { runTool, start, type Running } from '../system/processes.ts'

export interface BlobCachePeer extends Running {
  readonly url: string
}

export interface BlobCacheOptions {
  readonly directory: string
  readonly scheme: 'http' | 'https'
  /** Its certificate, and its files. */
  readonly origin: Origin
}

const listenOf = (port: number, { scheme, origin }: BlobCacheOptions): string =>
  scheme === 'http'
    ? `listen 127.0.0.1:${port};`
    : `listen 127.0.0.1:${port} ssl; ssl_certificate ${origin.ca}; ssl_certificate_key ${origin.key};
    ssl_protocols TLSv1.2 TLSv1.3;`

/** `proxy_cache` with the defaults of the packages, one fetch for all who wait. */
export const startNginxBlobCache = async (options: BlobCacheOptions): Promise<BlobCachePeer> => {
  const { directory, scheme, origin } = options
  const port = await freePort()
  const name = `nginx-blobs-${scheme}`
  const http = `
  proxy_cache_path ${directory}/${name} keys_zone=blobs:10m max_size=100g use_temp_path=off;
  upstream origin { server ${origin.host}; keepalive 32; }
  server {
    ${listenOf(port, options)}
    location / {
      proxy_pass http://origin;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_cache blobs;
      proxy_cache_key $uri;
      proxy_cache_valid 200 1d;
      proxy_cache_lock on;
    }
  }`
  const nginx = await startNginx({ directory, name, port, http })
  return { ...nginx, url: `${scheme}://127.0.0.1:${port}` }
}

/** `proxy_pass` to a store of objects: the path is that of an object. */
export const startNginxBefore = async (
  upstream: string,
  options: BlobCacheOptions,
): Promise<BlobCachePeer> => {
  const { directory, scheme } = options
  const port = await freePort()
  const http = `
  upstream store { server ${new URL(upstream).host}; keepalive 32; keepalive_requests 1000000; }
  server {
    ${listenOf(port, options)}
    location / {
      proxy_pass http://store;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host ${new URL(upstream).host};
      # Of the client's, which is for the proxy.
      proxy_set_header Authorization "";
      proxy_max_temp_file_size 0;
    }
  }`
  const nginx = await startNginx({ directory, name: `nginx-s3-${scheme}`, port, http })
  return { ...nginx, url: `${scheme}://127.0.0.1:${port}` }
}

/** docker-registry of Debian (CNCF distribution), its content in files. */
export const startDistribution = async (
  options: Pick<BlobCacheOptions, 'directory' | 'scheme'> & {
    readonly name?: string
    readonly upstream: string
    readonly account?: { readonly username: string; readonly password: string }
    readonly origin?: Pick<Origin, 'ca' | 'key'>
  },
): Promise<BlobCachePeer> => {
  const { directory, scheme, upstream, account = {}, origin } = options
  const { name = `distribution-${scheme}` } = options
  const port = await freePort()
  const storage = join(directory, `${name}-storage`)
  const file = join(directory, `${name}.yml`)
  const tls = scheme === 'http' ? {} : { tls: { certificate: origin?.ca, key: origin?.key } }
  await mkdir(storage)
  // JSON is YAML.
  const settings = {
    version: '0.1',
    log: { level: 'error', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: storage }, delete: { enabled: true } },
    http: { addr: `127.0.0.1:${port}`, secret: 'one instance', ...tls },
    proxy: { remoteurl: upstream, ...account },
  }
  await writeFile(file, JSON.stringify(settings), { mode: 0o600 })
  const url = `${scheme}://127.0.0.1:${port}`
  const ready = async () => {
    if (scheme === 'http') return await answers(`${url}/v2/`, 200)
    await runTool('curl', ['--silent', '--fail', '--cacert', origin?.ca ?? '', `${url}/v2/`])
    return true
  }
  const running = await start('docker-registry', ['serve', file], { directory, name, ready })
  return { ...running, url }
}
