import type { Target } from '../target.ts'
export const cursors: Target = {
  name: 'cursors',
  about: '',
  start: async () => ({ run: () => undefined, close: async () => undefined }),
}
