import type { MailTexts } from './texts.ts'

const ignore = 'If you did not ask for this, you can ignore this mail.'

const dateTime = new Intl.DateTimeFormat('en-GB', {
  dateStyle: 'long',
  timeStyle: 'short',
  timeZone: 'UTC',
})

export const english: MailTexts = {
  activation: ({ brand, code }) => ({
    subject: `${code} is your ${brand} verification code`,
    before: [`Enter this code in ${brand} to show that this e-mail address is yours.`],
    action: 'Verify the address',
    after: [ignore],
  }),
  emailChange: ({ brand }) => ({
    subject: `Your new ${brand} e-mail address`,
    before: [`This address was entered as the new one of a ${brand} account.`],
    action: 'Verify the address',
    after: ['Until it is verified the account keeps its old address.', ignore],
  }),
  passwordReset: ({ brand }) => ({
    subject: `Reset your ${brand} password`,
    before: [`Somebody asked to replace the password of your ${brand} account.`],
    action: 'Choose a new password',
    after: ['All your devices will have to log in again.', ignore],
  }),
  deletion: ({ brand, minutes }) => ({
    subject: `Delete your ${brand} account?`,
    before: [
      `Somebody asked to delete your ${brand} account.`,
      'All your conversations and their content will be gone for good.',
    ],
    action: 'Delete the account',
    after: [
      `This is possible for ${minutes} minutes.`,
      'If you did not ask for this, change your password.',
    ],
  }),
  newDevice: ({ brand, name, device, time }) => ({
    subject: `New device on your ${brand} account`,
    before: [
      `Hello ${name},`,
      `your ${brand} account is now used on another device.`,
      `${device}, ${dateTime.format(time)} UTC`,
    ],
    after: ['If this was not you, remove the device in your settings and change your password.'],
  }),
  keyName: 'Key',
  codeName: 'Code',
}
