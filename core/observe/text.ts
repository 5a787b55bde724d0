// Text from outside, made fit to be shown: no secret is in it, and no character does what it says.
import { inspect } from 'node:util'

/** What nothing may show, in the forms in which messages quote it; the longest first. */
let secrets: readonly string[] = []

/** A shorter text is no secret, and part of many words. */
const SHORTEST = 4

/** Takes a value out of everything that is shown from now on: log, health, errors, dead letters' reasons, metrics. */
export function neverShow(value: string): void {
  const all = new Set(secrets)
  for (const part of [value, ...value.split('\n')]) {
    if (part.trim().length < SHORTEST) continue
    const json = JSON.stringify(part).slice(1, -1)
    const quoted = [json, JSON.stringify(json).slice(1, -1), inspect(part).slice(1, -1), encodeURIComponent(part.toWellFormed())]
    const encoded = part.length < 8 ? [] : inBase64(part)
    for (const form of [part, part.trim(), ...quoted, ...encoded]) all.add(form)
  }
  secrets = [...all].sort((a, b) => b.length - a.length)
}

/** What the base64 of a longer text (`user:password`) has of the secret in it, wherever in the text it begins. */
function inBase64(secret: string): string[] {
  return [0, 1, 2].map(before => {
    const bytes = Buffer.from('-'.repeat(before) + secret)
    return bytes.toString('base64').slice(Math.ceil((before * 8) / 6), Math.floor((bytes.length * 8) / 6))
  })
}

/** The text with *** in the place of every secret. */
export function masked(text: string): string {
  let shown = text
  for (const secret of secrets) shown = shown.replaceAll(secret, '***')
  return shown
}

/**
 * Control characters (a newline in a path, an escape sequence in a user's name), ends of lines, marks that turn the direction of
 * what follows, and marks that nobody sees.
 */
const HARMFUL = /[\u0000-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g

/** The text without secrets, and with characters that would do something made visible instead. */
export function visible(text: string): string {
  return harmless(masked(text))
}

/** The text, or its beginning and how long it is. */
export function shortened(text: string, longest: number): string {
  return text.length > longest ? `${text.slice(0, longest)}… (${text.length} characters)` : text
}

/** The same characters of a line of JSON, as JSON itself writes them; the line keeps its end. */
export function harmlessLine(line: string): string {
  return line.endsWith('\n') ? `${harmless(line.slice(0, -1))}\n` : harmless(line)
}

function harmless(text: string): string {
  return text.replace(HARMFUL, char => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
