/** Bytes that stand for themselves in a byte-level vocabulary: printable ASCII and Latin-1. */
const printable = (byte: number): boolean =>
  (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;

/** Code unit that stands for each byte; those that are not printable come behind Latin-1, in order: a space is `Ġ` (U+0120). */
export const unitOfByte: Uint16Array = (() => {
  const units = new Uint16Array(256);
  let next = 0x100;
  for (let byte = 0; byte < 256; byte += 1) units[byte] = printable(byte) ? byte : next++;
  return units;
})();

/** One more than the highest code unit that stands for a byte. */
export const byteUnits = 0x144;

const encoder = new TextEncoder();
/** Units that are turned into a string at a time: more arguments could overflow the stack. */
const chunk = 8192;

/** A text's UTF-8 bytes, each as the character that stands for it. Lone surrogates count as U+FFFD. */
export function toByteLevel(text: string): string {
  let plain = true;
  for (let at = 0; at < text.length && plain; at += 1) {
    const unit = text.charCodeAt(at);
    plain = unit > 0x20 && unit < 0x7f;
  }
  if (plain) return text;
  const bytes = encoder.encode(text);
  const units = new Uint16Array(bytes.length);
  for (let at = 0; at < bytes.length; at += 1) units[at] = unitOfByte[bytes[at]!]!;
  if (units.length <= chunk) return String.fromCharCode(...units);
  let out = '';
  for (let at = 0; at < units.length; at += chunk) out += String.fromCharCode(...units.subarray(at, at + chunk));
  return out;
}
