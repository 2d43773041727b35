"""Ids of trap texts from the Rust `tokenizers` library, for test/text.

    python scripts/make-tokenizer-fixtures.py

writes test/text/fixtures/tokenizer-ids.json, serde-numbers.json and form-*.json (the forms below, with `@charsmap` and `@vocab` where the embedded
tokenizer.json has its own). With a number it prints that many seeded random texts with their ids, one JSON
line each, for scripts/compare-tokenizer-ids.ts:

    python scripts/make-tokenizer-fixtures.py --random 20000 --seed 1 --form published > ids.jsonl

Forms: `published` is weights/tiny-bge-reranker/tokenizer.json, `converter` the same vocabulary with the normaliser and
pre-tokeniser of transformers' SpmConverter, `ties` a small vocabulary where equal scores are the rule, `bytes` the same
with byte fallback and no normaliser. Made with tokenizers 0.23.2.
"""

import argparse
import json
import random
import sys
from pathlib import Path

import numpy
import tokenizers
from tokenizers import Tokenizer

ROOT = Path(__file__).resolve().parent.parent
PUBLISHED = ROOT / "weights" / "tiny-bge-reranker" / "tokenizer.json"
FIXTURES = ROOT / "test" / "text" / "fixtures"
TARGET = FIXTURES / "tokenizer-ids.json"


def published_form() -> dict:
    return json.loads(PUBLISHED.read_text(encoding="utf-8"))


def converter_form() -> dict:
    form = published_form()
    form["normalizer"] = {
        "type": "Sequence",
        "normalizers": [
            form["normalizer"],
            {"type": "Strip", "strip_left": False, "strip_right": True},
            {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "▁"},
        ],
    }
    form["pre_tokenizer"] = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    return form


# A float32 widened to float64, and its multiples: every cut of a run ties exactly, until a parser of the 17 digits that is
# off by one in the last place (serde_json's is) decides between them.
BASE_SCORE = -3.4635426998138428


def ties_form() -> dict:
    form = published_form()
    pieces = {"▁": BASE_SCORE}
    for alphabet in ("ab", "-=", "é́", "字号"):
        words = list(alphabet)
        for length in range(1, 5):
            for word in words:
                pieces[word] = BASE_SCORE * length
                pieces["▁" + word] = BASE_SCORE * (length + 1)
            words = [word + letter for word in words for letter in alphabet]
    pieces |= {"a▁b": -0.5, "😀": -7.25, "😀👍": -9.007199254740993, "----------": -11.0, "1e5": -1e-5, "-0": -0.0}
    special = [[name, 0.0] for name in ("<s>", "<pad>", "</s>", "<unk>")]
    form["model"]["vocab"] = special + [[piece, score] for piece, score in pieces.items()] + [["<mask>", 0.0]]
    form["added_tokens"][-1]["id"] = len(form["model"]["vocab"]) - 1
    return form


def bytes_form() -> dict:
    form = ties_form()
    vocabulary = form["model"]["vocab"]
    vocabulary[-1:-1] = [[f"<0x{byte:02X}>", -20.0] for byte in range(256)]
    form["added_tokens"][-1]["id"] = len(vocabulary) - 1
    form["added_tokens"] += [
        {"id": len(vocabulary), "content": "a b", "single_word": False, "lstrip": True, "rstrip": True, "normalized": True, "special": False},
        {"id": len(vocabulary) + 1, "content": "a bb", "single_word": False, "lstrip": False, "rstrip": True, "normalized": True, "special": False},
    ]
    blanks = {"single_word": False, "normalized": True, "special": False}
    form["added_tokens"] += [
        {"id": len(vocabulary) + 2, "content": "\u2003", "lstrip": True, "rstrip": True, **blanks},
        {"id": len(vocabulary) + 3, "content": "\u2002", "lstrip": False, "rstrip": True, **blanks},
    ]
    form["model"]["byte_fallback"] = True
    form["normalizer"] = {"type": "Replace", "pattern": {"String": "=="}, "content": "$&"}
    form["pre_tokenizer"] = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never", "split": False}
    return form


FORMS = {"published": published_form, "converter": converter_form, "ties": ties_form, "bytes": bytes_form}

SENTENCES = [
    "What is the capital of France?", "Paris is the capital of France.", "The giant panda (Ailuropoda melanoleuca) is a bear.",
    "大熊猫生活在中国中部的山区,主要吃竹子。", "東京は日本の首都です。", "서울은 대한민국의 수도이며 가장 큰 도시입니다.",
    "Какая столица России? Москва.", "ما هي عاصمة مصر؟", "מהי בירת ישראל?", "भारत की राजधानी क्या है?", "กรุงเทพมหานครเป็นเมืองหลวง",
    "Thủ đô của Việt Nam là gì?", "Ποια είναι η πρωτεύουσα;", "İstanbul'un nüfusu", "Straße, Größe, ÄÖÜ ẞ", "naïve café — “quoted” … ‘x’",
    "தமிழ்நாட்டின் தலைநகரம்", "বাংলাদেশের রাজধানী কী?", "မြန်မာနိုင်ငံ", "ភ្នំពេញ", "ქართული ენა", "Հայաստան", "አዲስ አበባ", "ᐃᓄᒃᑎᑐᑦ",
    "for (let i = 0; i < n; i++) { a[i] += b[i] * 1e-5; }", "https://example.com/a?b=c&d=e#f", "user@example.org", "C:\\temp\\new.txt",
    "1,234.56 € £9.99 ¥100 ₹5", "Zażółć gęślą jaźń", "Příliš žluťoučký kůň", "Árvíztűrő tükörfúrógép",
]
COMPATIBILITY = [
    "ﬁﬂﬀﬃﬄﬅ", "½ ⅓ ¼ ⅞", "①②③ ⑩ ⓐⓏ", "㈱ ㍿ ㎏ ㎡ ㏄", "™ ℠ ℡ № ℃ ℉ Å Ω K", "ＡＢＣ ａｂｃ １２３ ！＂＃", "ｶﾞｷﾞｸﾞ ﾊﾟﾋﾟ ｱｲｳ ｯｬｭｮ ｰ",
    "²³¹ ⁰⁴ ₀₁₂ ⁿ", "ªº ǆ Ǆ ǅ ŉ ĳ ŀ ſ", "ΐ ΰ ϐ ϑ ϕ ϖ ϰ ϱ", "ﷺ ﷲ ﻻ ﻼ ﻵ", "﹏ ﹙﹚ ﹛﹜ ﹩", "︵︶ ︷︸ ︿﹀", "⺀ ⻳ ⼀ ⿕", "〸〹〺 〶",
    "㍻ ㍼ ㍽ ㍾ ㋿", "ℂ ℍ ℕ 𝐀 𝒜 𝔄 𝕬 𝟎 𝟗", "🄰 🅰 🈁 🈲 🉐", "… ‥ ․ ‼ ⁇ ⁈ ⁉", "ﬓﬔﬕ ײַ שּׁ", "豈更車賈 侮 爫 𠂊", "\u0344\u0374\u037e\u0387", "ﾞﾟ ﾡﾢ ￠￡￢￣￤￥￦",
    "ⅠⅡⅢ ⅻ ↉", "㌀㌁㌂ ㍐", "🅭 🆊 🆐", "ꜰ ꝏ ꟸ ꭜ", "ᴬᴭᴮ ᵅᵊ ᶜᶿ",
]
DECOMPOSED = [
    "e\u0301 E\u0301 u\u0308 n\u0303 c\u0327", "a\u0301\u0302\u0303", "か\u3099き\u3099く\u3099 は\u309aひ\u309a", "カ\u3099ハ\u309a ウ\u3099", "ｶ\uff9eﾊ\uff9f",
    "\u1112\u1161\u11ab\u1100\u1173\u11af", "\u1100\u1161 \u1100\u1161\u11a8", "Vie\u0323\u0302t Nam e\u0302\u0301 o\u031b\u0301", "q\u0307\u0323 d\u0323\u0307",
    "\u0915\u093c \u0921\u093c \u095c", "\u0f71\u0f72 \u0fb2\u0f80", "\u05e9\u05c1 \u05d1\u05bc", "\u0627\u0653 \u0648\u0654 \u064a\u0654", "\u212b A\u030a \u00c5",
    "e" + "\u0301" * 2, "e" + "\u0301" * 3, "e" + "\u0301" * 50, "字" + "\u0301", "字" + "\u0301\u0302", "é" + "\u0301", "é" + "\u0301\u0302", "™\u0301", "™\ufe0f", "½\u0338",
    "a\u200d b\u200c", "a\u034fb", "\u0301abc", " \u0301abc", "\u0301", "a\u0338 =\u0338 <\u0338 >\u0338", "\u0b95\u0bcd\u0bb7", "\u1025\u102e", "ﬁ\u0301", "A\u030aB", "1\u20e3 #\ufe0f\u20e3",
    "\u0e33 \u0e19\u0e49\u0e33 \u0ecd\u0eb2", "\u1fbf\u0300 \u03b1\u0345 \u03b1\u0313\u0301\u0345", "\u0600a \u06dd1 \u070fb", "\U000110bd\U00011103",
]
EMOJI = [
    "😀", "👍🏽", "👨‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪🇫🇷🇯", "❤️ ❤", "🧑🏿‍🚀", "☎️", "©️ ®️ ©\u200d®", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "😀\u200d™\u0301", "🐼🐼🐼 panda", "👩‍💻👩‍💻", "⌛️⏳", "🫠🫡🫥", "😀😀\u200d\u200d😀",
]
INVISIBLE = [
    "a\u200bb", "a\u200eb\u200f", "\u202eabc\u202c", "a\u2060b", "\ufeffabc", "abc\ufeff", "a\u00adb", "a\u180eb", "\u2066x\u2069", "a\u0000b", "\u0000", "\u0000\u0000 \u0000", "a\u0001\u0002\u0008b",
    "a\u0009b\u000ac\u000dd\u000d\u000ae", "a\u000b\u000cb", "a\u001c\u001d\u001e\u001fb", "a\u007fb", "a\u0080\u0085\u009fb", "a\u0085", "\u0085<mask>", "x \u0085<mask>", "x\ufeff<mask>", "\ue000\uf8ff\U000f0000\U0010fffd", "\ufffd\ufffc", "\uffff\ufdd0", "\U0001ffff", "\U000e0001\U000e0020", "\u0378\u0379",
    "a\u00a0b", "a\u3000b", "\u3000", "\u2000\u2001\u2002\u2003\u2028\u2029\u202f\u205f", "a\u1680b", "", " ", "  ", "\t", "\n\n", " a", "a ", "  a  b  ", "a\t\tb", "a \n b", "   ▁   ", "▁", "▁▁", "▁a▁b", "a▁", "a▁▁b ▁", "\u2581\u0301",
]
RUNS = [letter * count for letter in ("-", "=", ".", "*", "_", "~", "a", "ab", "— ", "- ", "字", "ﬁ", "e\u0301") for count in (2, 3, 7, 15, 16, 33)]
LONG = ["a" * 300, "ab" * 200, "字" * 200, "x" * 5000, "-" * 1000, "pneumonoultramicroscopicsilicovolcanoconiosis", "Donaudampfschifffahrtsgesellschaftskapitän" * 5, "A" * 64 + "B" * 64, "\u0301" * 500, " " * 500, "a " * 300, "不" * 100 + "。" * 10]
SPECIALS = [
    "<s>", "</s>", "<pad>", "<unk>", "<mask>", "<s> hello </s>", "a<mask>b", "a <mask> b", "a \t <mask>\n b", "<mask><mask>", " <mask> <mask> ", "<s></s><pad>", "<S>", "< s >", "<s", "mask>", "<<s>>", "</s></s>", "a</s>b", "<unk> x <unk>", "<unk><unk>", "字<unk>字",
    "＜s＞", "＜unk＞", "＜mask＞", "a＜/s＞b", "＜s＞ ＜s＞", "＜unk＞龘", "<\u0301s>", "<s>\u0301", "<mask>\u0301", "▁<mask>", "<mask>▁", "\u3000<mask>", "\u00a0\u2003<mask>", "ﬁ<mask>ﬁ", "[MASK] [CLS] <|endoftext|> <0x41> <0xE5>",
]
MIXED = ["a b", "a bb", "xa b", " a b ", "a  b", "a bbb a b", "== = ===", "a==b", "$& ==", "a\u2003\u2003 b", "\u2002\u2002 \u2002a", "\u2003 \u2003\u2003", "a \u2003 <mask> b", "aab bba", "-0", "1e5 1e5", "😀👍😀", "ababababababab", "--------------=-=-=-", "éé́é́", "字号字号字号号号字字"]


def corpus() -> list[str]:
    texts = SENTENCES + COMPATIBILITY + DECOMPOSED + EMOJI + INVISIBLE + RUNS + LONG + SPECIALS + MIXED
    texts += [a + b for a, b in zip(SENTENCES, COMPATIBILITY)] + [a + " " + b for a, b in zip(DECOMPOSED, EMOJI)]
    draw = random.Random(2026)
    return texts + [random_text(draw) for _ in range(60)]


# Where the interesting characters are; a point is drawn from a range, a range by its weight.
RANGES = [
    (20, 0x20, 0x7E), (6, 0x00, 0x1F), (4, 0x7F, 0xFF), (6, 0x100, 0x24F), (8, 0x300, 0x36F), (3, 0x370, 0x52F), (3, 0x590, 0x6FF), (4, 0x900, 0x97F), (3, 0x980, 0xDFF),
    (3, 0xE00, 0xFFF), (2, 0x1000, 0x109F), (4, 0x1100, 0x11FF), (2, 0x1780, 0x17FF), (3, 0x1E00, 0x1FFF), (6, 0x2000, 0x206F), (4, 0x2070, 0x218F), (3, 0x2190, 0x2BFF), (3, 0x2E80, 0x2FDF),
    (6, 0x3000, 0x30FF), (3, 0x3100, 0x33FF), (4, 0x4E00, 0x9FFF), (4, 0xAC00, 0xD7A3), (2, 0xE000, 0xF8FF), (3, 0xF900, 0xFAFF), (4, 0xFB00, 0xFDFF), (4, 0xFE00, 0xFEFF), (5, 0xFF00, 0xFFEF),
    (3, 0x10000, 0x11FFF), (3, 0x1D400, 0x1D7FF), (3, 0x1F100, 0x1F2FF), (5, 0x1F300, 0x1FAFF), (1, 0x20000, 0x2FA1F), (1, 0xE0000, 0xE01EF), (1, 0xF0000, 0x10FFFD),
]
FRAGMENTS = ["<s>", "</s>", "<mask>", "<unk>", "<pad>", "＜s＞", "▁", " ", "  ", "\u200d", "\ufe0f", "e\u0301", "---", "a b", "😀", "🇩", "か\u3099", "\u1112\u1161\u11ab", "\r\n", "\u0000", "क्ष", "panda", " the ", "-", "==", "ab", "字", "\u093c", "\u0301", "™", "ﬁ"]


def random_point(draw: random.Random) -> str:
    while True:
        _, low, high = draw.choices(RANGES, weights=[weight for weight, _, _ in RANGES])[0]
        point = draw.randint(low, high)
        if not 0xD800 <= point <= 0xDFFF:
            return chr(point)


def random_text(draw: random.Random) -> str:
    kind = draw.random()
    length = draw.randint(1, 40)
    if kind < 0.35:
        return "".join(random_point(draw) for _ in range(length))
    if kind < 0.7:
        return "".join(draw.choice(FRAGMENTS) if draw.random() < 0.5 else random_point(draw) for _ in range(length))
    if kind < 0.85:
        return "".join(draw.choice("ab-= é\u0301字号▁") for _ in range(length * 2))
    words = " ".join(SENTENCES).split(" ")
    return draw.choice([" ", "  ", "\u00a0", "\n"]).join(draw.choice(words) for _ in range(draw.randint(1, 12)))


def load(form: str) -> Tokenizer:
    return Tokenizer.from_str(json.dumps(FORMS[form](), ensure_ascii=False))


def ids_of(tokenizer: Tokenizer, text: str) -> list[int]:
    return tokenizer.encode(text, add_special_tokens=False).ids


def write_form(name: str) -> None:
    form = FORMS[name]()
    published = published_form()
    if form["model"]["vocab"] == published["model"]["vocab"]:
        form["model"]["vocab"] = "@vocab"
    charsmap = published["normalizer"]["precompiled_charsmap"]
    text = json.dumps(form, ensure_ascii=False, separators=(",", ":")).replace(charsmap, "@charsmap")
    (FIXTURES / f"form-{name}.json").write_text(text + "\n", encoding="utf-8")


def number_literals() -> list[str]:
    draw = random.Random(17)
    literals = [
        "0", "0.0", "-0.0", "-0", "1", "-1", "12345678901234567890", "18446744073709551615", "18446744073709551616", "-18446744073709551617",
        "184467440737095516150", "1844674407370955161.59", "18446744073709551615.5", "184467440737095516199.3", "0.1", "0.30000000000000004", "1e5", "1E+5", "1e-5", "-2.5e-310",
        "5e-324", "1e-400", "2.2250738585072014e-308", "1.7976931348623157e308", "0e99999999999999999999", "0.0e400", "1e-99999999999", "123456789e-320", "9007199254740993", "9007199254740993.0",
        "-3.4635426998138428", "-7.2547831535339355", "-11.512925464970229", "3.141592653589793238462643383279502884197", "100000000000000000000000e-23",
    ]
    for _ in range(400):
        literals.append(repr(-numpy.float64(numpy.float32(draw.uniform(0, 20)))).removeprefix("np.float64(").removesuffix(")"))
    for _ in range(200):
        digits = "".join(draw.choice("0123456789") for _ in range(draw.randint(1, 25)))
        literals.append(f"{draw.choice(['', '-'])}{draw.randint(0, 99)}.{digits}{draw.choice(['', 'e-30', 'e12', 'E+3', 'e-290'])}")
    return literals


def write_numbers() -> None:
    """What serde_json reads from a literal, printed by the Rust library as the shortest decimal of the double."""
    literals = number_literals()
    vocabulary = ",".join(f'["{index}",{literal}]' for index, literal in enumerate(literals))
    text = f'{{"version":"1.0","added_tokens":[],"model":{{"type":"Unigram","unk_id":0,"vocab":[{vocabulary}]}}}}'
    read = json.loads(Tokenizer.from_str(text).to_str())["model"]["vocab"]
    rows = ",\n".join(json.dumps([literal, repr(float(score))]) for literal, (_, score) in zip(literals, read))
    head = json.dumps({"made_by": "python scripts/make-tokenizer-fixtures.py", "tokenizers": tokenizers.__version__})
    (FIXTURES / "serde-numbers.json").write_text(f'{head[:-1]}, "numbers": [\n{rows}\n]}}\n', encoding="utf-8")


def write_fixture() -> None:
    FIXTURES.mkdir(parents=True, exist_ok=True)
    texts = list(dict.fromkeys(corpus()))
    loaded = {form: load(form) for form in FORMS}
    write_numbers()
    fixture = {
        "made_by": "python scripts/make-tokenizer-fixtures.py",
        "tokenizers": tokenizers.__version__,
        "cases": [{"text": text, **{form: ids_of(loaded[form], text) for form in FORMS}} for text in texts],
    }
    for form in FORMS:
        if form != "published":
            write_form(form)
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in fixture["cases"])
    head = json.dumps({key: fixture[key] for key in ("made_by", "tokenizers")})
    TARGET.write_text(f'{head[:-1]}, "cases": [\n{lines}\n]}}\n', encoding="utf-8")
    print(f"{len(texts)} texts, {TARGET.stat().st_size} bytes")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--random", type=int, metavar="COUNT")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--form", choices=FORMS, default="published")
    parser.add_argument("--tokenizer", help="a tokenizer.json instead of a form")
    options = parser.parse_args()
    if options.random is None:
        write_fixture()
        return
    tokenizer = Tokenizer.from_file(options.tokenizer) if options.tokenizer else load(options.form)
    draw = random.Random(options.seed)
    for _ in range(options.random):
        text = random_text(draw)
        print(json.dumps({"text": text, "ids": ids_of(tokenizer, text)}, separators=(",", ":")))
    print(f"seed {options.seed}, tokenizers {tokenizers.__version__}", file=sys.stderr)


if __name__ == "__main__":
    main()
