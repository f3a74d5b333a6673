/** Words of a query that count; the rest is ignored. */
export const maxWords = 16
/** Latin letters that Unicode does not take apart. */
const latin: Readonly<Record<string, string>> = {
  ß: 'ss',
  æ: 'ae',
  œ: 'oe',
  ø: 'o',
  đ: 'd',
  ð: 'd',
  þ: 'th',
  ł: 'l',
  ħ: 'h',
  ı: 'i',
}

/**
 * Text as search compares it: marks off, lower case, compatibility forms and some Latin letters in
 * their plain form. Other scripts are not transliterated into Latin.
 */
export const fold = (text: string): string =>
  text
    .normalize('NFKD')
    .replaceAll(/\p{M}/gu, '')
    .toLowerCase()
    .replaceAll(/[ßæœøđðþłħı]/g, (letter) => latin[letter] ?? letter)

/** The words of a name, a handle or a query, folded. */
export function wordsOf(text: string): string[] {
  return fold(text)
    .split(/[^\p{L}\p{N}_.-]+/u)
    .filter((word) => /[\p{L}\p{N}]/u.test(word))
}
