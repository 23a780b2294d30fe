/** nginx with one worker and the defaults of its packages, with a few changes for a test on one machine. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { accepts, start, type Running } from './processes.ts'

export interface NginxOptions {
  readonly directory: string
  /** The name of its files and its log. */
  readonly name: string
  /** A port on which it listens: it is ready when the port accepts connections. */
  readonly port: number
  /** The content of the http block. */
  readonly http: string
}

/** A line for each request, written as it ends. */
export const accessLogOf = ({ directory, name }: Pick<NginxOptions, 'directory' | 'name'>): string =>
  `${directory}/${name}-access.log`

export const startNginx = async ({ directory, name, port, http }: NginxOptions): Promise<Running> => {
  const file = join(directory, `${name}.conf`)
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((what) => `${what}_temp_path ${directory}/${name}-${what};`)
    .join('\n  ')
  await writeFile(
    file,
    `daemon off;
pid ${directory}/${name}.pid;
error_log stderr;
worker_processes 1;
# Room for the connections of 500 slow readers, on both sides.
worker_rlimit_nofile 16384;
${process.getuid?.() === 0 ? 'user root;' : ''}
events { worker_connections 8192; }
http {
  ${temporary}
  access_log ${accessLogOf({ directory, name })};
  default_type application/octet-stream;
  sendfile on;
  tcp_nopush on;
  # A thousand unless told: reconnecting is not what is measured.
  keepalive_requests 1000000;
  ${http}
}
`,
  )
  const args = ['-p', directory, '-c', file, '-e', 'stderr']
  return await start('nginx', args, { directory, name, ready: async () => await accepts(port) })
}
