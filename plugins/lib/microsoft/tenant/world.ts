// Tenants, and what happens in them: a scene is one moment of one person, from which the services' records are made.
import { Draw } from './draw.ts'
import { drawPlace, homeAddress, officeAddress, type Place } from './networks.ts'
import type { Device, User } from './people.ts'
import { makeTenant, type Tenant } from './tenant.ts'
import { type Timeline, timeline } from './timeline.ts'

/** One moment of one person. Its values depend on the world's seed and salt, the stream and the index alone. */
export interface Scene {
  /** The audit record's id: a GUID. */
  readonly id: string
  /** Milliseconds since 1970. */
  readonly time: number
  readonly tenant: Tenant
  readonly user: User
  readonly device: Device
  /** Where the person is; the services see `address`. */
  readonly place: Place
  readonly address: string
  /** For what else a record needs: each scene has its own sequence. */
  readonly draw: Draw
}

export interface WorldOptions {
  /** Whole number, 0 to 2^32 - 1. */
  readonly seed: number
  /** Other salts give other records of the same tenants and people. A whole number like the seed; default 0. */
  readonly salt?: number
  readonly tenants: number
  /** Users in each tenant. */
  readonly users: number
  /** When the first record happens: milliseconds since 1970. */
  readonly start: number
}

export interface World {
  readonly tenants: readonly Tenant[]
  readonly timeline: Timeline
  /** The scene with this index; what is given takes the place of what would be drawn. */
  scene(stream: number, index: number, given?: Partial<Omit<Scene, 'draw'>>): Scene
}

/** How late a record is written at most, so that records are nearly, but not quite, in the order of their times. */
const DISORDER_MS = 120_000

export function makeWorld({ seed, salt = 0, tenants: count, users, start }: WorldOptions): World {
  const tenants = Array.from({ length: count }, (_, number) => makeTenant(seed, number, users))
  const times = timeline(start, users * count)
  return {
    tenants,
    timeline: times,
    scene(stream, index, given) {
      const draw = new Draw(seed ^ salt, stream, index)
      const id = draw.guid()
      const time = times.at(index) + draw.below(DISORDER_MS)
      const tenant = given?.tenant ?? (tenants[draw.below(count)] as Tenant)
      // A few people do most of the work.
      const user = given?.user ?? tenant.user(draw.chance(0.4) ? draw.skewed(0, users - 1) : draw.below(users))
      const device = user.devices.length > 1 && draw.chance(0.3) ? (user.devices[1] as Device) : user.devices[0]
      const away = draw.chance(0.3)
      const place = draw.chance(0.03) ? drawPlace(draw) : user.place
      const address = away ? homeAddress(draw) : officeAddress(place, draw)
      return given
        ? { id, time, tenant, user, device, place, address, ...given, draw }
        : { id, time, tenant, user, device, place, address, draw }
    },
  }
}

/** When the samples begin: a Monday in May 2026. */
export const SAMPLE_START = Date.UTC(2026, 4, 4)
