import type { Target } from '../target.ts'
export const apiServer: Target = {
  name: 'api-server',
  about: '',
  start: async () => ({ run: () => undefined, close: async () => undefined }),
}
