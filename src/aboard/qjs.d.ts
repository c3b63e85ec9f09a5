/**
 * What the stick uses of QuickJS's modules `std` and `os` (bellard.org/quickjs/quickjs.html, sections 3.3.2 and
 * 3.3.3; Debian 13 has version 2025-04-26).
 */
declare module 'std' {
  interface File {
    readAsString(): string
    puts(text: string): void
    flush(): void
    close(): number
  }
  /** Null when the file cannot be opened. */
  export function open(path: string, flags: string): File | null
  export function fdopen(fd: number, flags: string): File | null
  export const out: File
  export const err: File
  export function exit(code: number): never
}

declare module 'os' {
  export const O_WRONLY: number
  export const O_RDWR: number
  export const O_CREAT: number
  export const O_TRUNC: number
  /** These return a negative errno when they fail. */
  export function open(path: string, flags: number, mode?: number): number
  export function close(fd: number): number
  export function write(fd: number, buffer: ArrayBuffer, offset: number, length: number): number
  export function rename(from: string, to: string): number
  export function remove(path: string): number
  export function stat(path: string): [{ mode: number; size: number }, number]
  export function pipe(): [number, number] | null
  export function exec(
    args: string[],
    options: {
      block?: boolean
      env?: Record<string, string>
      stdin?: number
      stdout?: number
      stderr?: number
    },
  ): number
  /** The pid and the wait status of waitpid(2). */
  export function waitpid(pid: number, options: number): [number, number]
  export function sleep(milliseconds: number): void
  /** Monotonic, in milliseconds. */
  export function now(): number
}

/** The program's path, and what was typed after it (section 3.3.1). */
declare const scriptArgs: string[]
