// The people of a fictional tenant, and the devices they use.
import type { Draw } from './draw.ts'
import { drawPlace, type Place } from './networks.ts'

/** A device as sign-in logs see it. */
export interface Device {
  /** Entra's device id; '' for a device that is not registered. */
  readonly id: string
  readonly name: string
  readonly os: string
  readonly browser: string
  readonly userAgent: string
  readonly phone: boolean
}

export interface User {
  /** Part before the @. */
  readonly alias: string
  readonly upn: string
  readonly displayName: string
  /** Object id in Entra: a GUID. */
  readonly id: string
  /** The account's old number, 16 hexadecimal digits in capitals. */
  readonly puid: string
  readonly sid: string
  readonly mailbox: string
  readonly place: Place
  readonly devices: readonly [Device, ...Device[]]
  readonly department: string
  /** Ids of the personal OneDrive site, its web and its document library. */
  readonly drive: { readonly site: string; readonly web: string; readonly list: string }
}

// biome-ignore format: a list of words reads best in lines
const GIVEN = [
  'Ana', 'Bo', 'Chen', 'Dara', 'Emil', 'Farah', 'Goran', 'Hana', 'Ines', 'Jonas', 'Kofi', 'Lena', 'Mira', 'Noor', 'Olu', 'Petra',
  'Quinn', 'Rosa', 'Sami', 'Tove', 'Uma', 'Viktor', 'Wren', 'Xenia', 'Yusuf', 'Zoë', 'Aiko', 'Bram', 'Carmen', 'Deniz', 'Elif', 'Femi',
  'Greta', 'Hugo', 'Isla', 'Juno', 'Kai', 'Luz', 'Milo', 'Nia', 'Otto', 'Pia', 'Rafa', 'Sven', 'Tala', 'Ulla', 'Vera', 'Wim',
] as const
// Trees: nobody should find a real colleague among these.
// biome-ignore format: a list of words reads best in lines
const FAMILY = [
  'Alder', 'Aspen', 'Birch', 'Cedar', 'Elm', 'Fir', 'Hazel', 'Holly', 'Juniper', 'Larch', 'Linden', 'Maple', 'Oak', 'Olive', 'Pine',
  'Poplar', 'Rowan', 'Spruce', 'Willow', 'Yew',
] as const
export const DEPARTMENTS = ['Finance', 'Sales', 'Research', 'People', 'Legal', 'Facilities', 'Marketing', 'IT'] as const

interface Model {
  readonly os: string
  readonly browser: string
  readonly name: string
  readonly phone?: true
  readonly userAgent: string
}
const WEBKIT = 'AppleWebKit/537.36 (KHTML, like Gecko)'
const COMPUTERS: readonly Model[] = [
  {
    os: 'Windows10',
    browser: 'Edge 136.0.0',
    name: 'LAPTOP',
    userAgent: `Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${WEBKIT} Chrome/136.0.0.0 Safari/537.36 Edg/136.0.0.0`,
  },
  {
    os: 'Windows10',
    browser: 'Chrome 136.0.0',
    name: 'DESK',
    userAgent: `Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${WEBKIT} Chrome/136.0.0.0 Safari/537.36`,
  },
  {
    os: 'MacOs',
    browser: 'Safari 18.4',
    name: 'MAC',
    userAgent:
      'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.4 Safari/605.1.15',
  },
  {
    os: 'Linux',
    browser: 'Firefox 138.0',
    name: 'WS',
    userAgent: 'Mozilla/5.0 (X11; Linux x86_64; rv:138.0) Gecko/20100101 Firefox/138.0',
  },
]
const PHONES: readonly Model[] = [
  {
    os: 'Ios',
    browser: 'Mobile Safari 18.4',
    name: 'IPHONE',
    phone: true,
    userAgent:
      'Mozilla/5.0 (iPhone; CPU iPhone OS 18_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.4 Mobile/15E148 Safari/604.1',
  },
  {
    os: 'Android',
    browser: 'Chrome Mobile 136.0.0',
    name: 'ANDROID',
    phone: true,
    userAgent: `Mozilla/5.0 (Linux; Android 15; K) ${WEBKIT} Chrome/136.0.0.0 Mobile Safari/537.36`,
  },
]
const COMPUTER_SPREAD = [0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 3] as const

/** What a script that guesses passwords looks like. */
export const SCRIPT: Device = { id: '', name: '', os: '', browser: '', phone: false, userAgent: 'python-requests/2.32.3' }

function drawDevice(model: Model, draw: Draw): Device {
  const { os, browser, userAgent } = model
  const registered = draw.chance(0.85)
  const name = registered ? `${model.name}-${draw.hex(8).toUpperCase()}` : ''
  return { id: registered ? draw.guid() : '', name, os, browser, userAgent, phone: model.phone ?? false }
}

/** The user with this number, of a tenant with this domain; the values are drawn, the name follows from the number. */
export function makeUser(number: number, domain: string, draw: Draw): User {
  const round = Math.floor(number / GIVEN.length)
  const given = GIVEN[number % GIVEN.length] as string
  const family = FAMILY[(round === 0 ? number * 7 : round - 1) % FAMILY.length] as string
  const lap = Math.floor((round - 1) / FAMILY.length)
  const first = given.replace('ë', 'e').toLowerCase()
  const alias = round === 0 ? first : `${first}.${family.toLowerCase()}${lap > 0 ? lap + 1 : ''}`
  const computer = drawDevice(COMPUTERS[draw.pick(COMPUTER_SPREAD)] as Model, draw)
  return {
    alias,
    upn: `${alias}@${domain}`,
    displayName: `${given} ${family}`,
    id: draw.guid(),
    puid: `10032001${draw.hex(8).toUpperCase()}`,
    sid: `S-1-5-21-${draw.next()}-${draw.next()}-${draw.next()}-${1000 + draw.below(9_000_000)}`,
    mailbox: draw.guid(),
    place: drawPlace(draw),
    devices: draw.chance(0.6) ? [computer, drawDevice(draw.pick(PHONES), draw)] : [computer],
    department: draw.pick(DEPARTMENTS),
    drive: { site: draw.guid(), web: draw.guid(), list: draw.guid() },
  }
}
