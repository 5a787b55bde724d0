// Counters and gauges of plugins and pipelines. Counting costs a map look-up; prom-client is loaded only when somebody asks.
import type { Registry } from 'prom-client'
import type { Metrics } from '../plugin/interfaces.ts'
import { masked } from './text.ts'

type Labels = Readonly<Record<string, string>>

/** One metric with a value for each set of labels. */
export interface Family {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge'
  readonly values: readonly { readonly labels: Labels; readonly value: number }[]
}

/**
 * Sets of labels that one metric may have. Labels come from configured names, which are few: a plugin that takes them from events
 * has its further ones counted together, as `other`.
 */
const MOST_SERIES = 1_000

interface Series {
  readonly labels: Labels
  value: number
}
interface Stored {
  readonly help: string
  readonly type: 'counter' | 'gauge'
  readonly series: Map<string, Series>
}

export class MetricsStore {
  readonly #stored = new Map<string, Stored>()
  readonly #sources = new Set<() => readonly Family[]>()
  #process: Registry | undefined

  /** The metrics of one step, labelled with it. */
  of(pipeline: string, step: string): Metrics {
    const place = { pipeline, step }
    return {
      count: (name, help, by = 1, labels = {}) => {
        // What is no number would stay in the sum for ever.
        if (by >= 0 && by < Infinity) this.#series(name, help, 'counter', { ...labels, ...place }).value += by
      },
      gauge: (name, help, value, labels = {}) => {
        this.#series(name, help, 'gauge', { ...labels, ...place }).value = value
      },
    }
  }

  /** Figures that somebody keeps anyway, asked for when they are shown. The returned function takes the source away. */
  source(source: () => readonly Family[]): () => void {
    this.#sources.add(source)
    return () => this.#sources.delete(source)
  }

  families(): Family[] {
    const families: Family[] = []
    for (const [name, { help, type, series }] of this.#stored) {
      families.push({ name: `penstock_${name}`, help, type, values: [...series.values()] })
    }
    for (const source of this.#sources) families.push(...source())
    return families
  }

  /** All figures in the Prometheus text format. */
  async text(): Promise<{ readonly type: string; readonly body: string }> {
    const { Registry, Counter, Gauge, collectDefaultMetrics } = await import('prom-client')
    const registry: Registry = new Registry()
    if (!this.#process) {
      // Kept from one answer to the next: it observes the garbage collector.
      this.#process = new Registry()
      collectDefaultMetrics({ register: this.#process })
    }
    const merged = new Map<string, { family: Family; values: Family['values'][number][] }>()
    for (const family of this.families()) {
      const known = merged.get(family.name)
      if (known) known.values.push(...family.values)
      else merged.set(family.name, { family, values: [...family.values] })
    }
    for (const { family, values } of merged.values()) {
      const labelNames = [...new Set(values.flatMap(({ labels }) => Object.keys(labels)))]
      const settings = { name: family.name, help: family.help, labelNames, registers: [registry] }
      try {
        if (family.type === 'counter') {
          const counter = new Counter(settings)
          for (const { labels, value } of values) counter.inc(labels, value)
        } else {
          const gauge = new Gauge(settings)
          for (const { labels, value } of values) gauge.set(labels, value)
        }
      } catch {
        // A plugin's wrong name or label leaves that metric out, not all the others.
      }
    }
    const body = (await registry.metrics()) + (await this.#process.metrics())
    return { type: registry.contentType, body }
  }

  #series(name: string, help: string, type: Stored['type'], labels: Labels): Series {
    let stored = this.#stored.get(name)
    if (!stored) {
      stored = { help, type, series: new Map() }
      this.#stored.set(name, stored)
    }
    let series = stored.series.get(JSON.stringify(labels))
    if (series) return series
    const { pipeline = '', step = '' } = labels
    const kept = stored.series.size < MOST_SERIES ? labels : { ...mapped(labels, () => 'other'), pipeline, step }
    const key = JSON.stringify(kept)
    series = stored.series.get(key)
    if (!series) {
      series = { labels: mapped(kept, value => masked(String(value))), value: 0 }
      stored.series.set(key, series)
    }
    return series
  }
}

function mapped(labels: Labels, change: (value: string) => string): Labels {
  return Object.fromEntries(Object.entries(labels).map(([name, value]) => [name, change(value)]))
}
