// Every mutant there is, area by area.
import { azureBlob } from './azure-blob.ts'
import { dedupe } from './dedupe.ts'
import { diskQueue } from './disk-queue.ts'
import { elasticsearch } from './elasticsearch.ts'
import { elasticsearchSetup } from './elasticsearch-setup.ts'
import { eventIds } from './event-ids.ts'
import { fileExport } from './file-export.ts'
import { fileInput } from './file-input.ts'
import { fileOutput } from './file-output.ts'
import { delivery } from './flow-delivery.ts'
import { settling } from './flow-settling.ts'
import { workers } from './flow-workers.ts'
import { framing } from './framing.ts'
import { httpOutput } from './http-output.ts'
import { kafka } from './kafka.ts'
import type { Mutant } from './mutant.ts'
import { o365Parts } from './o365-parts.ts'
import { o365Reading } from './o365-reading.ts'
import { o365Service } from './o365-service.ts'
import { splunkHec } from './splunk-hec.ts'
import { sql } from './sql.ts'
import { state } from './state.ts'
import { syslog } from './syslog.ts'

export const mutants: readonly Mutant[] = [
  settling,
  delivery,
  workers,
  state,
  fileInput,
  fileOutput,
  framing,
  dedupe,
  eventIds,
  o365Parts,
  o365Reading,
  o365Service,
  elasticsearch,
  elasticsearchSetup,
  fileExport,
  azureBlob,
  httpOutput,
  splunkHec,
  syslog,
  sql,
  kafka,
  diskQueue,
].flat()
