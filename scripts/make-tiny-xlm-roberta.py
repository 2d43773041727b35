"""The embedded checkpoint weights/tiny-bge-reranker: random weights in the layout of BAAI/bge-reranker-v2-m3.

    python scripts/make-tiny-xlm-roberta.py

writes config.json and model.safetensors beside the tokenizer files that train-tiny-unigram.py made, and
test/golden/fixtures/tiny-bge-reranker.json: pairs of texts with the token ids of the Rust tokenizer and the logit of
transformers in f32. Byte for byte the same on every run with the same versions on the same kind of CPU.
"""

from pathlib import Path

import tokenizers
from tokenizers import Tokenizer
from transformers import XLMRobertaForSequenceClassification

import xlm_roberta_oracle as oracle

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "weights" / "tiny-bge-reranker"
GOLDEN = ROOT / "test" / "golden" / "fixtures" / "tiny-bge-reranker.json"
COMMAND = "python scripts/make-tiny-xlm-roberta.py"
SEED = 2024
LIMIT_BYTES = 1_500_000
# Small enough that 1,000 documents of 200 tokens take seconds on a software adapter.
SIZES = dict(hidden=64, layers=2, heads=2, intermediate=256, max_positions=514)
# Random logits spread with the head's gain; this one separates documents in the first digit.
OUT_GAIN = 6.0

PANDA = "what is panda?"
GIANT_PANDA = (
    "The giant panda (Ailuropoda melanoleuca), sometimes called a panda bear or simply panda, "
    "is a bear species endemic to China."
)
CAPITAL = "What is the capital of France?"
PAIRS = [
    (PANDA, "hi"),
    (PANDA, GIANT_PANDA),
    (CAPITAL, "Paris is the capital of France."),
    (CAPITAL, "The population of China is over 1.4 billion people."),
    ("What is the population of China?", "Paris is the capital of France."),
    ("What is the population of China?", "The population of China is over 1.4 billion people."),
    ("大熊猫是什么?", "大熊猫是中国特有的动物，主要栖息在四川、陕西和甘肃的山区。"),
    ("富士山の高さは?", "富士山は標高3776メートルで、日本で最も高い山です。"),
    ("한국의 수도는 어디입니까?", "서울은 대한민국의 수도이자 최대 도시이다."),
    ("Wie hoch ist der Eiffelturm?", "Der Eiffelturm in Paris ist 330 Meter hoch; er wurde 1889 für die Weltausstellung gebaut."),
    ("Какая река самая длинная?", "Нил и Амазонка — две самые длинные реки мира."),
    ("ما هي عاصمة مصر؟", "القاهرة هي عاصمة جمهورية مصر العربية."),
    ("भारत की राजधानी क्या है?", "नई दिल्ली भारत की राजधानी है।"),
    ("เมืองหลวงของไทยคืออะไร", "กรุงเทพมหานครเป็นเมืองหลวงของประเทศไทย"),
    # Normalisation: full-width letters, a ligature, a combining accent, runs of white space, emoji.
    ("ＷｅｂＧＰＵ ﬁle format", "cafe\u0301  \t au\u00a0lait \n №5 👍🏽"),
    ("a", "b"),
    ("x = f(y) { return y ** 2; }", "def f(y):\n    return y ** 2\n"),
    (PANDA, " ".join([GIANT_PANDA] * 6)),
]


def encode(tokenizer, query, document):
    """`<s> query </s></s> document </s>` as the tokenizer's own template writes it."""
    ids = tokenizer.encode(query, document).ids
    apart = [tokenizer.encode(text, add_special_tokens=False).ids for text in (query, document)]
    assert ids == [0, *apart[0], 2, 2, *apart[1], 2]
    return ids


def main():
    tokenizer = Tokenizer.from_file(str(FOLDER / "tokenizer.json"))
    config = oracle.hf_config(vocab=tokenizer.get_vocab_size(), **SIZES)
    state = oracle.random_state(config, SEED, OUT_GAIN)
    oracle.write_json(FOLDER / "config.json", config)
    oracle.save_weights(FOLDER / "model.safetensors", state)
    size = (FOLDER / "model.safetensors").stat().st_size
    if size > LIMIT_BYTES:
        raise SystemExit(f"model.safetensors has {size} bytes (limit {LIMIT_BYTES})")

    model = XLMRobertaForSequenceClassification.from_pretrained(FOLDER, attn_implementation="eager").eval()
    pairs = []
    traces = []
    for query, document in PAIRS:
        ids = encode(tokenizer, query, document)
        assert len(ids) <= SIZES["max_positions"] - 2, len(ids)
        values = oracle.trace(model, ids)
        traces.append((ids, values))
        pairs.append({"query": query, "document": document, "ids": ids, "logit": values["logits"][0].item()})
    golden = {
        "command": COMMAND,
        "versions": {**oracle.VERSIONS, "tokenizers": tokenizers.__version__},
        "f32_vs_f64": oracle.oracle_error(model, traces),
        "pairs": pairs,
    }
    GOLDEN.write_text(dump(golden), encoding="utf-8")
    print(f"model.safetensors {size} bytes, vocabulary {config['vocab_size']}, f32 vs f64 {golden['f32_vs_f64']:.1e}")
    for pair in pairs:
        print(f"{pair['logit']:9.4f} {len(pair['ids']):4} {pair['query'][:30]!r} {pair['document'][:50]!r}")


def dump(golden):
    """JSON with one pair per line, so that a change shows in a diff."""
    head = {key: value for key, value in golden.items() if key != "pairs"}
    lines = ",\n".join("    " + oracle.json.dumps(pair, ensure_ascii=False) for pair in golden["pairs"])
    return oracle.json.dumps(head, indent=2)[:-2] + ',\n  "pairs": [\n' + lines + "\n  ]\n}\n"


if __name__ == "__main__":
    main()
