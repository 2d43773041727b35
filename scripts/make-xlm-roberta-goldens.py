"""Tiny random XLM-RoBERTa rerankers and every intermediate that transformers computes with them in f32.

    python scripts/make-xlm-roberta-goldens.py

writes test/golden/fixtures/xlmr-{a,b,c,d}/ (model folder plus goldens.safetensors); test/golden/fixtures/README.md
describes the names. Byte for byte the same on every run with the same versions on the same kind of CPU.
"""

import json
import sys

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import XLMRobertaForSequenceClassification

import xlm_roberta_oracle as oracle
from make_goldens_common import FIXTURES, LIMIT_BYTES, write_shards

COMMAND = "python scripts/make-xlm-roberta-goldens.py"
# Lengths on both sides of tile widths; the model's own limit is added to each list.
LENGTHS = [1, 2, 3, 5, 7, 8, 9, 16, 17, 33, 64]
# Longer sequences keep only their logits in the f16 and bf16 sets.
ROUNDED_LAYER_TOKENS = 64


def plain(state):
    return state


def without_prefix(state):
    return {name.removeprefix("roberta."): value for name, value in state.items()}


def old_export(state):
    """Names of a TensorFlow-era export, with the tensors such files carry and nobody reads."""
    renamed = {}
    for name, value in state.items():
        name = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        renamed[name] = value
    hidden = state["classifier.dense.weight"].shape[0]
    positions = state["roberta.embeddings.position_embeddings.weight"].shape[0]
    generator = torch.Generator().manual_seed(77)
    renamed["roberta.embeddings.position_ids"] = torch.arange(positions).reshape(1, -1)
    renamed["roberta.pooler.dense.weight"] = torch.randn((hidden, hidden), generator=generator)
    renamed["roberta.pooler.dense.bias"] = torch.randn(hidden, generator=generator)
    return renamed


MODELS = {
    # The published layout: `roberta.` prefix, one f32 file, one label.
    "xlmr-a": dict(
        config=dict(hidden=64, layers=3, heads=4, intermediate=128, vocab=300, max_positions=66),
        seed=11, layout=plain, dtype=torch.float32, shards=1, lengths=LENGTHS, pads=True,
    ),
    # No prefix, three labels, sizes that are multiples of 4 but not of 16 (intermediate 100), two shards and an index.
    "xlmr-b": dict(
        config=dict(hidden=48, layers=2, heads=3, intermediate=100, vocab=211, max_positions=82, labels=3),
        seed=12, layout=without_prefix, dtype=torch.float32, shards=2, lengths=[*LENGTHS, 80],
    ),
    # A bf16 file with old LayerNorm names and stray tensors; 512 tokens at the limit.
    "xlmr-c": dict(
        config=dict(hidden=96, layers=2, heads=3, intermediate=192, vocab=250, max_positions=514, dtype="bfloat16"),
        seed=13, layout=old_export, dtype=torch.bfloat16, shards=1, lengths=[1, 7, 16, 33, 512],
    ),
    # An f16 file; head_dim 64 as in every published BGE reranker.
    "xlmr-d": dict(
        config=dict(hidden=128, layers=1, heads=2, intermediate=256, vocab=260, max_positions=130, dtype="float16"),
        seed=14, layout=plain, dtype=torch.float16, shards=1, lengths=[*LENGTHS, 128],
    ),
}


def write_weights(folder, spec, state):
    stored = {}
    for name, value in spec["layout"](state).items():
        stored[name] = value.to(spec["dtype"]) if value.is_floating_point() else value
    write_shards(folder, stored, spec["shards"])


def read_weights(folder):
    """The stored tensors as f32, back under the names transformers uses."""
    state = {}
    for file in sorted(folder.glob("model*.safetensors")):
        with safe_open(file, framework="pt") as tensors:
            for name in tensors.keys():
                if "pooler" in name or "position_ids" in name:
                    continue
                known = name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")
                if not known.startswith(("roberta.", "classifier.")):
                    known = f"roberta.{known}"
                state[known] = tensors.get_tensor(name).float()
    return state


def random_sequences(config, lengths, seed):
    """Random ids without the pad id; each longer one has both ends of the vocabulary in it."""
    generator = torch.Generator().manual_seed(seed)
    vocab = config["vocab_size"]
    sequences = []
    for length in lengths:
        ids = torch.randint(2, vocab, (length,), generator=generator)
        ids[0] = 0
        if length >= 3:
            ids[length // 2] = vocab - 1
            ids[-1] = 2
        sequences.append(ids.tolist())
    return sequences


def make(name, spec):
    folder = FIXTURES / name
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    config = oracle.hf_config(**spec["config"])
    oracle.write_json(folder / "config.json", config)
    write_weights(folder, spec, oracle.random_state(config, spec["seed"]))

    state = read_weights(folder)
    model = oracle.load_state(config, state)
    last = f"layer{config['num_hidden_layers'] - 1}"
    goldens = {}
    traces = []
    sequences = random_sequences(config, spec["lengths"], spec["seed"] + 100)
    if spec.get("pads"):
        # Texts can spell `<pad>`: such a token takes no position.
        spelt = list(sequences[-2])
        spelt[2] = spelt[5] = spelt[6] = config["pad_token_id"]
        sequences.append(spelt)
    for index, ids in enumerate(sequences):
        values = oracle.trace(model, ids)
        traces.append((ids, values))
        goldens[f"seq{index}.ids"] = torch.tensor(ids, dtype=torch.int32)
        goldens.update({f"seq{index}.{key}": value for key, value in values.items()})
    error = oracle.oracle_error(model, traces)

    for label, dtype in (("f16", torch.float16), ("bf16", torch.bfloat16)):
        rounded = oracle.load_state(config, oracle.round_state(state, dtype))
        for index, ids in enumerate(sequences):
            values = oracle.trace(rounded, ids)
            if len(ids) <= ROUNDED_LAYER_TOKENS:
                goldens[f"{label}/seq{index}.{last}"] = values[last]
            goldens[f"{label}/seq{index}.logits"] = values["logits"]

    provenance = {
        "command": COMMAND,
        "model": name,
        "sequences": len(sequences),
        "versions": oracle.VERSIONS,
        "f32_vs_f64": f"{error:.2e}",
    }
    # One key: safetensors writes several in random order.
    save_file(goldens, str(folder / "goldens.safetensors"), metadata={"provenance": json.dumps(provenance)})
    report(folder, config, goldens, sequences, error)


def report(folder, config, goldens, sequences, error):
    logits = [goldens[f"seq{i}.logits"][0].item() for i in range(len(sequences))]
    print(f"{folder.name}: {len(sequences)} sequences, f32 vs f64 {error:.1e}, logits {[round(v, 3) for v in logits]}")
    for label in ("f16", "bf16"):
        shift = max((goldens[f"{label}/seq{i}.logits"][0] - goldens[f"seq{i}.logits"][0]).abs().item() for i in range(len(sequences)))
        print(f"  {label} rounding moves the logit by up to {shift:.1e}")
    for file in sorted(folder.iterdir()):
        size = file.stat().st_size
        print(f"  {file.name} {size}")
        if size > LIMIT_BYTES:
            raise SystemExit(f"{file} has {size} bytes (limit {LIMIT_BYTES})")
    # transformers itself must be able to open what we call its layout.
    loaded, info = XLMRobertaForSequenceClassification.from_pretrained(
        folder, attn_implementation="eager", dtype=torch.float32, output_loading_info=True
    )
    again = oracle.trace(loaded.eval(), sequences[-1])["logits"]
    same = torch.equal(again, goldens[f"seq{len(sequences) - 1}.logits"])
    print(f"  from_pretrained: equal {same}, missing {sorted(info['missing_keys'])}, unexpected {sorted(info['unexpected_keys'])}")


if __name__ == "__main__":
    wanted = sys.argv[1:] or list(MODELS)
    for wanted_name in wanted:
        make(wanted_name, MODELS[wanted_name])
