/** Classes that the grapheme cluster rules (Unicode Standard Annex 29) tell apart. The numbers are stored in `graphemeRuns`. */
export const graphemeClass = {
  any: 0,
  /** Control, CR and LF: CR LF is told by its code points. */
  control: 1,
  /** Extend that ends a conjunct (Indic_Conjunct_Break=None). */
  extend: 2,
  /** Extend inside a conjunct (Indic_Conjunct_Break=Extend). */
  conjunctExtend: 3,
  /** Extend that links two consonants into a conjunct (Indic_Conjunct_Break=Linker). */
  linker: 4,
  zwj: 5,
  spacingMark: 6,
  prepend: 7,
  pictographic: 8,
  consonant: 9,
  regional: 10,
  /** Hangul L. */
  leading: 11,
  /** Hangul V. */
  vowel: 12,
  /** Hangul T. */
  trailing: 13,
  /** Hangul LV. */
  openSyllable: 14,
  /** Hangul LVT. */
  closedSyllable: 15,
} as const;
