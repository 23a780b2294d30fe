// Loaded before each test process. The runner follows every promise with async hooks, so as to tell which test threw an error that
// nobody caught. That costs a fifth of the CPU time. Without it such an error ends the process, and its file fails.
import hooks from 'node:async_hooks'
import { syncBuiltinESMExports } from 'node:module'

const hook = {
  enable: () => hook,
  disable: () => hook,
}
hooks.createHook = () => hook
syncBuiltinESMExports()
