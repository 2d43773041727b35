"""Character tables of the Rust `tokenizers` library, for src/text/unicode-tables.ts.

    python scripts/make-unicode-tables.py

The library's regular expressions know Unicode 16.0 and its NFC an older version; JavaScript's own `\\p{L}` and `normalize` move
with the ICU of the machine. What the library does is asked of the library, code point by code point. Made with tokenizers 0.23.2.
"""

import unicodedata
from pathlib import Path

import tokenizers
from tokenizers import Regex, normalizers, pre_tokenizers

TARGET = Path(__file__).resolve().parent.parent / "src" / "text" / "unicode-tables.ts"
POINTS = [point for point in range(0x110000) if not 0xD800 <= point <= 0xDFFF]
CHUNK = 4096
nfc = normalizers.NFC().normalize_str
nfd = normalizers.NFD().normalize_str


def members(pattern: str) -> set[int]:
    """Code points that a character class matches: those that splitting by it removes."""
    split = pre_tokenizers.Split(Regex(pattern), "removed")
    found: set[int] = set()
    for at in range(0, len(POINTS), CHUNK):
        chunk = POINTS[at : at + CHUNK]
        kept = {i for _, (a, b) in split.pre_tokenize_str("".join(map(chr, chunk))) for i in range(a, b)}
        found.update(point for i, point in enumerate(chunk) if i not in kept)
    return found


def normalise_all(function, make) -> dict[int, str]:
    """`function(make(c))` for every character, many at a time; a line feed takes no part in normalisation."""
    result = {}
    points = [point for point in POINTS if point != 0x0A]
    for at in range(0, len(points), CHUNK):
        chunk = points[at : at + CHUNK]
        parts = function("\n".join(make(chr(point)) for point in chunk)).split("\n")
        assert len(parts) == len(chunk)
        result.update(zip(chunk, parts))
    return result


def combining_classes() -> dict[int, int]:
    """Characters that the library reorders, with their class. Classes never change, so Python's are right where the library has one."""
    before = normalise_all(nfd, lambda c: "a\u0345" + c)  # U+0345 has the highest class, 240
    after = normalise_all(nfd, lambda c: "a" + c + "\u0334")  # U+0334 has the lowest, 1
    whole = normalise_all(nfd, lambda c: c)
    found = {}
    for point, text in whole.items():
        if text != chr(point) and len(text) > 1:
            continue
        if before[point] != "a\u0345" + text or after[point] != "a" + text + "\u0334" or point in (0x345, 0x334):
            found[point] = unicodedata.combining(text)
    for point in range(0x110000):  # class 1 and 240 themselves stay in place
        if unicodedata.combining(chr(point)) in (1, 240) and not unicodedata.decomposition(chr(point)):
            reordered = nfd("a\u0301" + chr(point)) != "a\u0301" + chr(point) or nfd("a" + chr(point) + "\u0301") != "a" + chr(point) + "\u0301"
            if reordered or point == 0x345:
                found[point] = unicodedata.combining(chr(point))
    assert all(found.values())
    return found


INERT, STARTER, MARKS = 0, 1, 2


def normalization_classes() -> tuple[dict[int, int], int]:
    classes = combining_classes()
    order = {value: MARKS + 1 + rank for rank, value in enumerate(sorted(set(classes.values())))}
    decomposed = normalise_all(nfd, lambda c: c)
    composed = normalise_all(nfc, lambda c: c)
    result: dict[int, int] = {}
    for point, text in decomposed.items():
        if text == chr(point) and composed[point] == text:
            continue
        # Everything that a composition can begin or end with takes part.
        parts = set(text) | set(nfc(text[:-1])) | {chr(point)}
        result.update({ord(part): STARTER for part in parts})
    for point in [*range(0x1100, 0x1113), *range(0x1161, 0x1176), *range(0x11A8, 0x11C3)]:
        result[point] = STARTER
    result.update({point: order[value] for point, value in classes.items()})
    for point, text in decomposed.items():
        if len(text) > 1 and all(ord(part) in classes for part in text):
            result[point] = MARKS
    return result, len(order)


def encode(classes: dict[int, int]) -> str:
    runs, start = [], 0
    for point in range(1, 0x110001):
        if point == 0x110000 or classes.get(point, 0) != classes.get(start, 0):
            runs.append((point - start, classes.get(start, 0)))
            start = point
    if runs[-1][1] == 0:
        runs.pop()
    return "".join(base36(length) + letters(value) for length, value in runs)


def base36(value: int) -> str:
    digits = ""
    while value:
        value, digit = divmod(value, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return digits


def letters(value: int) -> str:
    high, low = divmod(value, 26)
    return (chr(64 + high) if high else "") + chr(65 + low)


def literal(text: str) -> str:
    return " +\n".join(f"  '{text[at : at + 100]}'" for at in range(0, len(text), 100))


def main() -> None:
    letter_number = {point: 1 for point in members(r"\p{L}")} | {point: 2 for point in members(r"\p{N}")}
    white = sorted(members(r"\s"))
    expected = [*range(0x9, 0xE), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000]
    assert white == expected, "src/text/white-space.ts differs"
    normalization, ranks = normalization_classes()
    TARGET.write_text(
        f"""/**
 * Characters as the Rust \\`tokenizers\\` {tokenizers.__version__} sees them, from U+0000 on, as runs: a length in base 36 and the class in
 * capital letters (A = 0, Z = 25, AA = 26). Generated by scripts/make-unicode-tables.py; do not edit.
 */

/** 0 neither, 1 \\`\\p{{L}}\\`, 2 \\`\\p{{N}}\\`, as the library's regular expressions match them. */
export const letterNumberRuns =
{literal(encode(letter_number))};

/**
 * 0 takes no part in normalisation, 1 does, 2 decomposes into marks only; above that marks that are reordered, by their {ranks}
 * combining classes in ascending order.
 */
export const normalizationRuns =
{literal(encode(normalization))};
""".replace("\\`", "`").replace("\\\\p", "\\p"),
        encoding="utf-8",
    )
    print(TARGET.stat().st_size, "bytes")


main()
