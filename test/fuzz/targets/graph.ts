import type { Target } from '../target.ts'
export const graph: Target = {
  name: 'graph',
  about: '',
  start: async () => ({ run: () => undefined, close: async () => undefined }),
}
