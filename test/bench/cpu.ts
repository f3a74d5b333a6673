import { readFile } from 'node:fs/promises'

/** Jiffies of `/proc/PID/stat` in a second; 100 on every Linux that Node runs on. */
const ticksPerSecond = 100

/** CPU time that processes have used so far, user and system, all threads. */
export async function cpuSeconds(pids: readonly number[]): Promise<number> {
  let ticks = 0
  for (const pid of pids) {
    const stat = await readFile(`/proc/${String(pid)}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    ticks += Number(fields[11]) + Number(fields[12])
  }
  return ticks / ticksPerSecond
}
