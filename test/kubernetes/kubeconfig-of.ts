/** A kubeconfig of a server on this machine, with a token that must not show anywhere. */
export const kubeConfigOf = (port: number, { scheme = 'http', insecure = true } = {}) => `apiVersion: v1
kind: Config
clusters:
  - name: c
    cluster: { server: '${scheme}://127.0.0.1:${port}'${insecure ? ', insecure-skip-tls-verify: true' : ''} }
users:
  - name: u
    user: { token: hunter2 }
contexts:
  - name: x
    context: { cluster: c, user: u }
current-context: x
`
