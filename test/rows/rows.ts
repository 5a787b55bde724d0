// The faults that Penstock promises to survive, by number: tests name the number of the row that they hold in their titles.

export interface Row {
  readonly fault: string
  /** Why no test can hold it yet. */
  readonly open?: string
}

const ELASTIC = 'comes with the Elasticsearch output'
const RELOAD = 'comes with reload by signal'

/** Process and disk, outputs and inputs of files, poison data. */
export const ROWS: Readonly<Record<number, Row>> = {
  1: { fault: 'kill -9 after Elasticsearch has stored a bulk, before its answer', open: ELASTIC },
  2: {
    fault: 'kill -9 after the answer, before the position is stored',
    open: `${ELASTIC}; the same moment with other outputs is in row 4`,
  },
  3: { fault: 'kill -9 while state is being written' },
  4: { fault: 'kill -9 at random times, 200 rounds' },
  5: { fault: 'power loss: what was not synced is gone' },
  6: { fault: 'the directory entry of a new file is lost' },
  7: { fault: 'deletes reach the disk out of order' },
  8: { fault: 'damage in the middle of a file of the store' },
  9: { fault: 'a file of the store is missing, empty, or of another version' },
  10: { fault: 'the positions are damaged' },
  11: { fault: 'no space for what is buffered' },
  12: { fault: 'no space for positions' },
  13: { fault: 'no space, or no quota, for an output file' },
  14: { fault: 'the dead letters are full' },
  15: { fault: 'the state folder is read-only, not writable, or immutable' },
  16: { fault: 'fsync reports an I/O error' },
  17: { fault: 'no file descriptor is left' },
  18: { fault: 'a file reaches the limit of its size' },
  19: { fault: 'two processes on one state folder' },
  20: { fault: 'a state folder of a newer or an older version' },
  21: { fault: 'a slow output, and little memory' },
  22: { fault: 'whoever read stdout or stderr has closed it' },
  23: { fault: 'SIGTERM while outputs work' },
  24: {
    fault: 'SIGTERM while Elasticsearch is down',
    open: `${ELASTIC}; an output that is stuck is in the tests of the command line`,
  },
  25: { fault: 'a second SIGTERM or SIGINT' },
  26: { fault: 'reload with a good configuration', open: RELOAD },
  27: { fault: 'reload with a bad configuration', open: RELOAD },
  28: { fault: 'SIGSTOP and SIGCONT (tokens: open, there are none yet)' },
  29: { fault: 'the clock of the system jumps' },
  30: { fault: 'a plugin throws where nobody catches' },
  64: { fault: 'one output works, another does not (Kafka: open, its output is not there yet)' },
  65: { fault: 'kill -9 in the middle of a line of an output file' },
  66: { fault: 'paths of output files made from event data' },
  67: { fault: 'index, topic, header and URL made from event data', open: 'comes with the outputs that have them' },
  68: { fault: 'requests to addresses made from event data', open: 'comes with the http output' },
  69: { fault: 'a followed file is truncated, renamed, replaced, compressed, deleted' },
  70: { fault: 'an unfinished last line at the end of a run' },
  71: { fault: 'an event on which a filter always throws' },
  72: { fault: 'keys such as __proto__ and constructor, in data and in paths' },
  73: {
    fault: 'a regular expression that never ends',
    open: 'comes with patterns in filters; a worker that hangs is in the tests of the transform',
  },
  74: { fault: 'events, fields and numbers of keys that are far too large' },
  75: { fault: 'deep nesting' },
  76: { fault: 'invalid UTF-8, lone surrogates, NUL, byte order marks, line separators' },
  77: { fault: 'numbers beyond 2^53, keys twice, 1e400, -0' },
  78: { fault: 'injection into the log, secrets in errors' },
  79: { fault: 'event text in the monitor page', open: 'comes with the monitor page' },
  80: { fault: 'hostile YAML' },
}

/** Rules for what listens and answers. */
export const WEB_RULES: Readonly<Record<number, Row>> = {
  1: { fault: 'listens on 127.0.0.1 unless told otherwise' },
  2: { fault: 'health needs no token, figures and the rest do, beyond loopback' },
  3: { fault: 'foreign Host headers are refused, there is no CORS' },
  4: { fault: 'reads only' },
  5: { fault: 'bearer tokens, compared in constant time', open: 'comes with listening beyond loopback' },
  6: { fault: 'session cookies', open: 'there is no login' },
  7: { fault: 'TLS 1.2 or newer', open: 'comes with listening beyond loopback' },
  8: { fault: 'time and number limits of connections' },
  9: { fault: 'limits of bodies', open: 'nothing reads a body yet' },
  10: { fault: 'depth and width of JSON bodies', open: 'nothing reads a body yet' },
  11: { fault: 'overload is answered with 503', open: 'comes with the inputs that listen' },
  12: { fault: 'signed webhooks', open: 'comes with the inputs that listen' },
  13: { fault: 'exact methods and paths' },
  14: { fault: 'an answer only after the commit', open: 'comes with the inputs that listen' },
  15: { fault: 'protective headers on every answer' },
  16: { fault: 'static files from memory', open: 'comes with the monitor page' },
  17: { fault: 'event samples off by default', open: 'comes with the monitor page' },
  18: { fault: 'errors without stacks and configuration' },
  19: { fault: 'labels of metrics from configured names only' },
  20: { fault: 'control characters are escaped in the log' },
  21: { fault: 'tokens only to named hosts', open: 'comes with the inputs that have tokens' },
  22: { fault: 'proxies, locked dependencies', open: 'comes with the inputs that use a proxy' },
}
