"""The tokenizer of weights/tiny-bge-reranker: a small Unigram model in XLM-RoBERTa's layout.

    python scripts/train-tiny-unigram.py

trains sentencepiece (nmt_nfkc normalisation, one thread, fixed seed) on scripts/tiny-unigram-corpus.txt and writes
sentencepiece.bpe.model, tokenizer.json (the form of the published BGE rerankers: Precompiled, then WhitespaceSplit and
Metaspace), tokenizer_config.json and special_tokens_map.json. Byte for byte the same on every run.
Made with sentencepiece 0.2.2, transformers 5.18.0, tokenizers 0.23.2.
"""

import base64
import io
import json
import sys
from pathlib import Path

import sentencepiece
from tokenizers import Tokenizer
from transformers.utils import sentencepiece_model_pb2_new as model_pb2

ROOT = Path(__file__).resolve().parent.parent
CORPUS = ROOT / "scripts" / "tiny-unigram-corpus.txt"
TARGET = ROOT / "weights" / "tiny-bge-reranker"
# XLM-RoBERTa drops sentencepiece's three control pieces and adds <s> <pad> </s> <unk> in front and <mask> at the end.
VOCABULARY = 2000
PIECES = VOCABULARY - 2
LIMIT_BYTES = 600_000
MAX_LENGTH = 512


def train() -> bytes:
    sentencepiece.set_random_generator_seed(20)
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS.read_text(encoding="utf-8").splitlines()),
        model_writer=model,
        model_type="unigram",
        vocab_size=PIECES,
        character_coverage=1.0,
        normalization_rule_name="nmt_nfkc",
        num_threads=1,
        shuffle_input_sentence=False,
        minloglevel=2,
    )
    return model.getvalue()


def special(id_: int, content: str, lstrip: bool = False) -> dict:
    return {
        "id": id_, "content": content, "single_word": False, "lstrip": lstrip, "rstrip": False,
        "normalized": False, "special": True,
    }


def metaspace() -> dict:
    return {"type": "Metaspace", "replacement": "▁", "add_prefix_space": True}


def layout(parts: str) -> list:
    """`<s> A </s>` as TemplateProcessing writes it."""
    pieces = []
    for part in parts.split():
        if part in ("A", "B"):
            pieces.append({"Sequence": {"id": part, "type_id": 0}})
        else:
            pieces.append({"SpecialToken": {"id": part, "type_id": 0}})
    return pieces


def published_form(model: model_pb2.ModelProto) -> dict:
    """The keys and steps of bge-reranker-v2-m3's tokenizer.json, vocabulary order of transformers' XLMRobertaConverter."""
    vocabulary = [["<s>", 0.0], ["<pad>", 0.0], ["</s>", 0.0], ["<unk>", 0.0]]
    vocabulary += [[piece.piece, piece.score] for piece in model.pieces[3:]]
    vocabulary.append(["<mask>", 0.0])
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            special(0, "<s>"), special(1, "<pad>"), special(2, "</s>"), special(3, "<unk>"),
            special(len(vocabulary) - 1, "<mask>", lstrip=True),
        ],
        "normalizer": {
            "type": "Precompiled",
            "precompiled_charsmap": base64.b64encode(model.normalizer_spec.precompiled_charsmap).decode("ascii"),
        },
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, metaspace()]},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": layout("<s> A </s>"),
            "pair": layout("<s> A </s> </s> B </s>"),
            "special_tokens": {
                "</s>": {"id": "</s>", "ids": [2], "tokens": ["</s>"]},
                "<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]},
            },
        },
        "decoder": metaspace(),
        "model": {"type": "Unigram", "unk_id": 3, "vocab": vocabulary},
    }


def write_json(name: str, value: dict, indent: int | None = 2) -> None:
    separators = None if indent else (",", ":")
    text = json.dumps(value, ensure_ascii=False, indent=indent, separators=separators)
    (TARGET / name).write_text(text + "\n", encoding="utf-8")


def main() -> None:
    TARGET.mkdir(parents=True, exist_ok=True)
    model_bytes = train()
    (TARGET / "sentencepiece.bpe.model").write_bytes(model_bytes)
    model = model_pb2.ModelProto()
    model.ParseFromString(model_bytes)
    tokenizer = published_form(model)
    write_json("tokenizer.json", tokenizer, indent=None)
    mask = {
        "content": "<mask>", "lstrip": True, "normalized": False, "rstrip": False, "single_word": False,
    }
    names = {
        "bos_token": "<s>", "cls_token": "<s>", "eos_token": "</s>", "mask_token": mask, "pad_token": "<pad>",
        "sep_token": "</s>", "unk_token": "<unk>",
    }
    decoder = {str(token["id"]): {key: token[key] for key in token if key != "id"} for token in tokenizer["added_tokens"]}
    write_json("special_tokens_map.json", names)
    config = {
        **names, "mask_token": "<mask>", "added_tokens_decoder": decoder, "clean_up_tokenization_spaces": True,
        "model_max_length": MAX_LENGTH, "sp_model_kwargs": {}, "tokenizer_class": "XLMRobertaTokenizer",
    }
    write_json("tokenizer_config.json", config)

    size = (TARGET / "tokenizer.json").stat().st_size
    loaded = Tokenizer.from_file(str(TARGET / "tokenizer.json"))
    assert size <= LIMIT_BYTES, size
    assert loaded.get_vocab_size() == VOCABULARY, loaded.get_vocab_size()
    assert [loaded.token_to_id(token) for token in ("<s>", "<pad>", "</s>", "<unk>", "<mask>")] == [0, 1, 2, 3, VOCABULARY - 1]
    print(f"tokenizer.json {size} bytes, {VOCABULARY} ids")
    for text in ("What is a panda?", "大熊猫生活在中国。", "----------", "ﬁne ½ ＡＢＣ"):
        print(text, loaded.encode(text).tokens, file=sys.stderr)


main()
