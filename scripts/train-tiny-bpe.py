"""The tokenizer of weights/tiny-qwen3-reranker: a small byte-level BPE with Qwen3's pipeline.

    python scripts/train-tiny-bpe.py

trains `tokenizers` on scripts/tiny-unigram-corpus.txt and on the prompt itself, and writes tokenizer.json (NFC,
Qwen2's pattern, ByteLevel, the 26 added tokens of Qwen3 behind the vocabulary, in the published form) and
tokenizer_config.json. Byte for byte the same on every run. Made with tokenizers 0.23.2.
"""

import json
from pathlib import Path

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

ROOT = Path(__file__).resolve().parent.parent
CORPUS = ROOT / "scripts" / "tiny-unigram-corpus.txt"
TARGET = ROOT / "weights" / "tiny-qwen3-reranker"
VOCABULARY = 2000
LIMIT_BYTES = 200_000
MAX_LENGTH = 131072

PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

# Content and whether it is special; ids follow the vocabulary in this order, 151643 to 151668 in the published one.
ADDED = [
    ("<|endoftext|>", True), ("<|im_start|>", True), ("<|im_end|>", True),
    ("<|object_ref_start|>", True), ("<|object_ref_end|>", True), ("<|box_start|>", True), ("<|box_end|>", True),
    ("<|quad_start|>", True), ("<|quad_end|>", True), ("<|vision_start|>", True), ("<|vision_end|>", True),
    ("<|vision_pad|>", True), ("<|image_pad|>", True), ("<|video_pad|>", True),
    ("<tool_call>", False), ("</tool_call>", False),
    ("<|fim_prefix|>", False), ("<|fim_middle|>", False), ("<|fim_suffix|>", False), ("<|fim_pad|>", False),
    ("<|repo_name|>", False), ("<|file_sep|>", False),
    ("<tool_response>", False), ("</tool_response>", False), ("<think>", False), ("</think>", False),
]

# The prompt's own words, so that it takes few tokens, and the answers, so that each is one.
PROMPT = [
    "system\n", "user\n", "assistant\n", "yes", "no", "\n\n",
    "Judge whether the Document meets the requirements based on the Query and the Instruct provided. "
    'Note that the answer can only be "yes" or "no".',
    "<Instruct>: Given a web search query, retrieve relevant passages that answer the query\n<Query>: ",
    "\n<Document>: ",
]
PROMPT_REPEATS = 20


def train() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    byte_level = dict(add_prefix_space=False, trim_offsets=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(PATTERN), behavior="isolated"), pre_tokenizers.ByteLevel(**byte_level)]
    )
    tokenizer.post_processor = processors.ByteLevel(**byte_level)
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(ADDED),
        min_frequency=2,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    lines = CORPUS.read_text(encoding="utf-8").splitlines()
    tokenizer.train_from_iterator([*lines, *PROMPT * PROMPT_REPEATS], trainer)
    return tokenizer


def published_form(trained: Tokenizer) -> dict:
    """The keys of Qwen3's tokenizer.json: merges as pairs, added tokens behind the vocabulary."""
    form = json.loads(trained.to_str())
    vocabulary = form["model"]["vocab"]
    assert sorted(vocabulary.values()) == list(range(VOCABULARY - len(ADDED))), len(vocabulary)
    form["model"]["vocab"] = dict(sorted(vocabulary.items(), key=lambda item: item[1]))
    assert all(len(pair) == 2 for pair in form["model"]["merges"])
    form["model"] |= {"continuing_subword_prefix": "", "end_of_word_suffix": ""}
    form["decoder"] = form["post_processor"]
    form["added_tokens"] = [
        {
            "id": len(vocabulary) + i, "content": content, "single_word": False, "lstrip": False, "rstrip": False,
            "normalized": False, "special": special,
        }
        for i, (content, special) in enumerate(ADDED)
    ]
    return form


def config_of(form: dict) -> dict:
    """tokenizer_config.json without a chat template: the published one's is for conversations."""
    decoder = {
        str(token["id"]): {key: token[key] for key in sorted(token) if key != "id"} for token in form["added_tokens"]
    }
    return {
        "add_bos_token": False,
        "add_prefix_space": False,
        "added_tokens_decoder": decoder,
        "additional_special_tokens": [content for content, special in ADDED if special][1:],
        "bos_token": None,
        "clean_up_tokenization_spaces": False,
        "eos_token": "<|im_end|>",
        "errors": "replace",
        "model_max_length": MAX_LENGTH,
        "pad_token": "<|endoftext|>",
        "split_special_tokens": False,
        "tokenizer_class": "Qwen2Tokenizer",
        "unk_token": None,
    }


def main() -> None:
    TARGET.mkdir(parents=True, exist_ok=True)
    form = published_form(train())
    path = TARGET / "tokenizer.json"
    path.write_text(json.dumps(form, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
    config = json.dumps(config_of(form), ensure_ascii=False, indent=2)
    (TARGET / "tokenizer_config.json").write_text(config + "\n", encoding="utf-8")

    size = path.stat().st_size
    loaded = Tokenizer.from_file(str(path))
    assert size <= LIMIT_BYTES, size
    assert loaded.get_vocab_size() == VOCABULARY, loaded.get_vocab_size()
    for word in ("yes", "no"):
        assert len(loaded.encode(word).ids) == 1, loaded.encode(word).tokens
    prompt = "".join(PROMPT[6:])
    yes, no = (loaded.token_to_id(word) for word in ("yes", "no"))
    print(f"tokenizer.json {size} bytes, {VOCABULARY} ids, yes {yes}, no {no}")
    print(f"{len(loaded.encode(prompt).ids)} tokens of prompt: {loaded.encode(prompt).tokens}")
    for text in ("What is a panda?", "大熊猫生活在中国。", "🐼 e\u0301 12", "<think>\n\n</think>\n\n"):
        print(text.encode("unicode_escape").decode(), loaded.encode(text).tokens)


main()
