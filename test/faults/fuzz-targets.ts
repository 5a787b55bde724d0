// All that decodes bytes from outside, by name.
import { CODECS } from './fuzz-codecs.ts'
import { PACKED } from './fuzz-packed.ts'
import type { Target } from './fuzz-target.ts'
import { FORMS } from './fuzz-text-forms.ts'

export const TARGETS: readonly Target[] = [...CODECS, ...PACKED, ...FORMS]
