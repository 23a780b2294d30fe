/** The commands that log a person in, for messages. */
export interface LoginAdviceOptions {
  /** The host of the proxy as people type it: `quay-proxy.ci.openshift.org`. */
  readonly host: string
  /** The API server of app.ci; without it people log in to the server that their `oc` knows, which may be another cluster. */
  readonly clusterUrl?: URL | undefined
}

export interface LoginAdvice {
  readonly host: string
  /** `oc login URL, then `, or nothing if the URL is not known: before a command of `oc`. */
  readonly cluster: string
  /** For a client without a login. */
  readonly first: string
  /** For a client whose login is refused. */
  readonly again: string
}

export const createLoginAdvice = ({ host, clusterUrl }: LoginAdviceOptions): LoginAdvice => {
  const podman = `podman login -u=$(oc whoami) -p=$(oc whoami -t) ${host}`
  const oc = clusterUrl === undefined ? 'oc login' : `oc login ${clusterUrl.origin}`
  const again = `${oc}, then ${podman}`
  const cluster = clusterUrl === undefined ? '' : `${oc}, then `
  return { host, cluster, first: clusterUrl === undefined ? podman : again, again }
}
