// Faults in the syslog output: batches of which nobody knows whether they arrived, and messages that a receiver cannot tell apart.
import { type Mutant, mutantsOf } from './mutant.ts'

const OUTPUT = ['plugins/syslog-output']

export const syslog: readonly Mutant[] = [
  ...mutantsOf('plugins/lib/syslog/connection.ts', OUTPUT, [
    {
      name: 'syslog-taken-is-delivered',
      breaks: 'A batch counts as delivered the moment the system has taken it',
      find: 'stopTimer = clock.after(confirmMs, () => over(resolve))',
      replace: 'over(resolve)',
    },
    {
      name: 'syslog-half-closed-unseen',
      breaks: 'A receiver that has closed its half is written to as if it were there',
      find: "socket.on('end', () => this.#end(line, new Error('it has closed the connection')))",
      replace: '',
    },
    {
      name: 'syslog-never-reads',
      breaks: 'Nobody sees that the receiver has closed its half',
      find: '      socket.resume()\n',
      replace: '',
    },
    {
      name: 'syslog-old-line-again',
      breaks: 'A connection that is broken is written to again',
      find: 'if (known && !known.broken) return known',
      replace: 'if (known) return known',
    },
    {
      name: 'syslog-stuck',
      breaks: 'A receiver that takes nothing is waited for without an end',
      find: 'stopTimer = clock.after(writeMs, () =>',
      replace: 'stopTimer = clock.after(writeMs * 1e6, () =>',
    },
  ]),
  ...mutantsOf('plugins/outputs/syslog/index.ts', OUTPUT, [
    {
      name: 'syslog-counts-characters',
      breaks: 'A message with letters beyond ASCII has a wrong length, and takes the next ones with it',
      find: 'const length = Buffer.byteLength(message)',
      replace: 'const { length } = message',
    },
    {
      name: 'syslog-no-newline',
      breaks: 'Messages run into one another',
      find: 'if (ended) to.byte(NEWLINE)',
      replace: '',
    },
  ]),
  ...mutantsOf('plugins/lib/syslog/cef.ts', OUTPUT, [
    {
      name: 'cef-values-unescaped',
      breaks: 'An = in a value begins another key',
      find: "text.replace(/[\\\\=]/g, '\\\\$&')",
      replace: 'text',
    },
    {
      name: 'cef-header-unescaped',
      breaks: 'A | in a name moves the rest of the header',
      find: "replace(/[\\\\|]/g, '\\\\$&')",
      replace: "replace(/[\\\\]/g, '\\\\$&')",
    },
  ]),
  ...mutantsOf('plugins/lib/syslog/message.ts', OUTPUT, [
    {
      name: 'syslog-data-unescaped',
      breaks: 'A value ends its structured data',
      find: ".replace(/[\"\\\\\\]]/g, '\\\\$&')",
      replace: '',
    },
    {
      name: 'syslog-header-blanks',
      breaks: 'A blank in a name moves the rest of the header',
      find: "replace(/[^!-~]/g, '_')",
      replace: "replace(/[^ -~]/g, '_')",
    },
  ]),
  ...mutantsOf('plugins/lib/syslog/datagrams.ts', OUTPUT, [
    {
      name: 'syslog-udp-refusal-unheard',
      breaks: 'That nobody listens is not told',
      find: 'this.#error = error',
      replace: '',
    },
  ]),
]
