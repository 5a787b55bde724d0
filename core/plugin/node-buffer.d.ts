// Node's UTF-8 methods of Buffer that its types leave out; they skip the look-up of the encoding.
declare global {
  interface Buffer {
    utf8Write(text: string, offset?: number, length?: number): number
    utf8Slice(start?: number, end?: number): string
    latin1Slice(start?: number, end?: number): string
  }
}

export {}
