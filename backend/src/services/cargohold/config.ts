import { z } from 'zod'

const mebibyte = 1024 * 1024
/** Encryption adds an initialisation vector and padding to what a person sees as the size. */
const encryptionBytes = 32

export const CargoholdConfig = z.strictObject({
  maxTeamAssetBytes: z
    .int()
    .positive()
    .default(100 * mebibyte + encryptionBytes)
    .describe('Largest asset of a team member'),
  maxAssetBytes: z
    .int()
    .positive()
    .default(25 * mebibyte + encryptionBytes)
    .describe('Largest asset of everybody else'),
  sweepEverySeconds: z
    .int()
    .positive()
    .default(3600)
    .describe('How often assets past their time are looked for and removed'),
})
export type CargoholdConfig = z.infer<typeof CargoholdConfig>
