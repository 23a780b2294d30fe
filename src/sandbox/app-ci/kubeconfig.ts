/** The kubeconfig of the sandbox, for `--kubeconfig`. */

/** @returns YAML */
export const kubeconfigOf = (server: string, token: string): string => `apiVersion: v1
kind: Config
clusters:
  - name: sandbox
    cluster:
      server: ${server}
      # There is no TLS to verify; the client asks to be told so before it sends a token over http.
      insecure-skip-tls-verify: true
users:
  - name: quay-proxy
    user: { token: ${token} }
contexts:
  - name: sandbox
    context: { cluster: sandbox, user: quay-proxy }
current-context: sandbox
`
