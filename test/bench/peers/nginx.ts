/** The configurations of nginx that are measured instead of the proxy. */
import { freePort } from '../../e2e/process.ts'
import { accessLogOf, startNginx } from '../system/nginx.ts'
import type { Origin } from '../system/origin.ts'
import type { Running } from '../system/processes.ts'

export interface NginxPeer extends Running {
  /** proxy_pass with the default buffers. */
  readonly url: string
  /** The same with sixteen buffers of 64 KiB for a response. */
  readonly tunedUrl: string
}

/** `proxy_pass` with keep-alive connections, streaming: nothing is written to a file. */
export const startStreamingNginx = async (
  directory: string,
  origin: Origin,
  scheme: 'http' | 'https',
): Promise<NginxPeer> => {
  const [port, tunedPort] = [await freePort(), await freePort()]
  const tls =
    scheme === 'http'
      ? ''
      : // TLS 1.3 and a verified peer, as with Node. By default nginx uses TLS 1.2 and no verification.
        `proxy_ssl_protocols TLSv1.2 TLSv1.3; proxy_ssl_verify on; proxy_ssl_trusted_certificate ${origin.ca};
    proxy_ssl_name localhost;`
  const server = (listen: number, more: string) => `
  server {
    listen 127.0.0.1:${listen};
    ${tls}
    ${more}
    location / {
      proxy_pass ${scheme}://origin;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_max_temp_file_size 0;
    }
  }`
  const http = `
  upstream origin {
    server ${scheme === 'http' ? origin.host : origin.tlsHost};
    keepalive 32;
    keepalive_requests 1000000;
  }
  ${server(port, '')}
  ${server(tunedPort, 'proxy_buffer_size 64k; proxy_buffers 16 64k; proxy_busy_buffers_size 128k;')}`
  const nginx = await startNginx({ directory, name: `nginx-${scheme}`, port, http })
  return { ...nginx, url: `http://127.0.0.1:${port}`, tunedUrl: `http://127.0.0.1:${tunedPort}` }
}

/** With the defaults of the packages, it opens a file of its cache for each answer. The second configuration caches open files. */
const cacheVariants = {
  'nginx-cache': '',
  'nginx-open-files': 'open_file_cache max=1000 inactive=60s; open_file_cache_valid 60s;',
} as const

export interface CachingNginx extends Running {
  readonly url: string
  /** A line for each request. */
  readonly accessLog: string
}

export interface CachingNginxOptions {
  readonly directory: string
  readonly name: keyof typeof cacheVariants
  readonly origin: Origin
  readonly judge: string
}

/**
 * Answers from a cache, to requesters that are allowed: `proxy_cache` behind `auth_request`, whose decision is cached by credential for a
 * minute, as the proxy does.
 */
export const startCachingNginx = async (options: CachingNginxOptions): Promise<CachingNginx> => {
  const { directory, name, origin, judge } = options
  const port = await freePort()
  const http = `
  ${cacheVariants[name]}
  proxy_cache_path ${directory}/${name}-manifests keys_zone=manifests:10m;
  proxy_cache_path ${directory}/${name}-decisions keys_zone=decisions:10m;
  upstream origin { server ${origin.host}; keepalive 32; }
  server {
    listen 127.0.0.1:${port};
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    location /v2/ {
      auth_request /judge;
      proxy_pass http://origin;
      proxy_cache manifests;
      proxy_cache_key $uri;
      proxy_cache_valid 200 10m;
    }
    location = /judge {
      internal;
      proxy_pass ${judge};
      proxy_pass_request_body off;
      proxy_set_header Content-Length "";
      proxy_cache decisions;
      proxy_cache_key $http_authorization;
      proxy_cache_valid 200 60s;
    }
  }`
  const nginx = await startNginx({ directory, name, port, http })
  return { ...nginx, url: `http://127.0.0.1:${port}`, accessLog: accessLogOf({ directory, name }) }
}
