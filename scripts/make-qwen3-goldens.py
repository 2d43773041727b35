"""Tiny random Qwen3 rerankers and every intermediate that transformers computes with them in f32.

    python scripts/make-qwen3-goldens.py

writes test/golden/fixtures/qwen3-{a,b,c,d}/ (model folder plus goldens.safetensors); test/golden/fixtures/README.md
describes the names. The logit is z_yes - z_no of the last position, or a classification head's first label.
"""

import json
import sys

import torch
from safetensors.torch import save_file
from transformers import AutoConfig, Qwen2ForCausalLM, Qwen3ForCausalLM, Qwen3ForSequenceClassification

import xlm_roberta_oracle as oracle
from make_goldens_common import FIXTURES, LIMIT_BYTES, write_shards

COMMAND = "python scripts/make-qwen3-goldens.py"
LENGTHS = [1, 2, 7, 8, 9, 16, 17, 33]
CLASSES = {
    "Qwen3ForCausalLM": Qwen3ForCausalLM,
    "Qwen3ForSequenceClassification": Qwen3ForSequenceClassification,
    "Qwen2ForCausalLM": Qwen2ForCausalLM,
}
YES, NO = 17, 5


def hf_config(architecture="Qwen3ForCausalLM", *, hidden, layers, heads, kv_heads, intermediate, vocab, head_dim=None,
              tied=True, dtype="float32", theta=1000000, modern=False):
    """config.json with the keys that Qwen publishes; `modern` writes rope and dtype as transformers 5 does."""
    config = {
        "architectures": [architecture],
        "attention_dropout": 0.0,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "hidden_act": "silu",
        "hidden_size": hidden,
        "initializer_range": 0.02,
        "intermediate_size": intermediate,
        "max_position_embeddings": 512,
        "max_window_layers": layers,
        "model_type": "qwen2" if architecture.startswith("Qwen2") else "qwen3",
        "num_attention_heads": heads,
        "num_hidden_layers": layers,
        "num_key_value_heads": kv_heads,
        "rms_norm_eps": 1e-06,
        "sliding_window": None,
        "tie_word_embeddings": tied,
        "transformers_version": "5.18.0" if modern else "4.51.3",
        "use_cache": True,
        "use_sliding_window": False,
        "vocab_size": vocab,
    }
    if modern:
        config["dtype"] = dtype
        config["rope_parameters"] = {"rope_theta": theta, "rope_type": "default"}
        config["layer_types"] = ["full_attention"] * layers
    else:
        config["torch_dtype"] = dtype
        config["rope_scaling"] = None
        config["rope_theta"] = theta
    if head_dim is not None:
        config["head_dim"] = head_dim
    if not architecture.startswith("Qwen2"):
        config["attention_bias"] = False
    if architecture.endswith("ForSequenceClassification"):
        config["id2label"] = {"0": "LABEL_0"}
        config["label2id"] = {"LABEL_0": 0}
        config["pad_token_id"] = 0
    return config


MODELS = {
    # The 0.6B layout: tied, attention width (4 heads of 32) twice the hidden size, one bf16 file.
    "qwen3-a": dict(
        config=dict(hidden=64, layers=3, heads=4, kv_heads=2, head_dim=32, intermediate=96, vocab=320, dtype="bfloat16"),
        seed=21, dtype=torch.bfloat16, shards=1, lengths=[*LENGTHS, 64, 65],
    ),
    # The 8B layout: untied output layer, two shards and an index; sizes that are multiples of 4 but not of 16.
    "qwen3-b": dict(
        config=dict(hidden=60, layers=2, heads=6, kv_heads=3, head_dim=16, intermediate=100, vocab=211, tied=False),
        seed=22, dtype=torch.float32, shards=2, lengths=LENGTHS,
    ),
    # A conversion to sequence classification, config as transformers 5 writes it, f16 file.
    "qwen3-c": dict(
        config=dict(architecture="Qwen3ForSequenceClassification", hidden=64, layers=1, heads=2, kv_heads=2, head_dim=64,
                    intermediate=128, vocab=200, dtype="float16", modern=True),
        seed=23, dtype=torch.float16, shards=1, lengths=LENGTHS,
    ),
    # Qwen2: biases on q, k and v, no head norms, head size from the hidden size.
    "qwen3-d": dict(
        config=dict(architecture="Qwen2ForCausalLM", hidden=96, layers=2, heads=6, kv_heads=2, intermediate=160, vocab=190),
        seed=24, dtype=torch.float32, shards=1, lengths=[*LENGTHS, 200],
    ),
    # Outliers: a residual stream that reaches 1e6, as massive activations of real models do.
    "qwen3-e": dict(
        config=dict(hidden=64, layers=3, heads=2, kv_heads=1, head_dim=32, intermediate=96, vocab=150),
        seed=25, dtype=torch.float32, shards=1, lengths=[2, 9, 33], outliers=True,
    ),
}


def build(config):
    model_class = CLASSES[config["architectures"][0]]
    hf = AutoConfig.for_model(**config)
    return model_class._from_config(hf, attn_implementation="eager", dtype=torch.float32).eval()


def random_state(model, seed, outliers):
    """Weights that make every term visible; vectors are multiples of 1/128, exact in every storage type."""
    generator = torch.Generator().manual_seed(seed)

    def normal(shape, std):
        return torch.randn(shape, generator=generator) * std

    def exact(value):
        return (value * 128).round().clamp(-255, 255) / 128

    state = {}
    for name, tensor in model.state_dict().items():
        shape = tuple(tensor.shape)
        if "norm" in name:
            value = exact(1 + normal(shape, 0.25))
        elif name.endswith("bias"):
            value = exact(normal(shape, 0.2))
        elif "embed_tokens" in name or name == "lm_head.weight":
            value = normal(shape, 0.6)
        elif name == "score.weight":
            value = normal(shape, 2.0 / shape[1] ** 0.5)
        else:
            value = normal(shape, 1.2 / shape[1] ** 0.5)
        state[name] = value.contiguous()
    if outliers:
        # Two channels of the residual stream grow by 1e4 and then 1e6, in the second block's MLP and the first's attention.
        state["model.layers.0.self_attn.o_proj.weight"][3] *= 1e4
        state["model.layers.1.mlp.down_proj.weight"][7] *= 1e6
    if model.config.tie_word_embeddings:
        state.pop("lm_head.weight", None)
    return state


def load(config, state):
    model = build(config)
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected and set(missing) <= {"lm_head.weight"}
    model.tie_weights()
    return model


@torch.no_grad()
def trace(model, ids, scoring=None):
    """embeddings [S, C], layer{l} [S, C], final [C] (last token after the last norm), logits [1].

    `scoring` is the vector to score with instead of the model's own: an engine that rounds matrices may keep it in f32.
    """
    base = model.model
    seen = {}
    hooks = [base.embed_tokens.register_forward_hook(lambda _, __, out: seen.update(embeddings=out[0]))]
    for index, layer in enumerate(base.layers):
        def keep(_, __, out, index=index):
            seen[f"layer{index}"] = (out[0] if isinstance(out, tuple) else out)[0]
        hooks.append(layer.register_forward_hook(keep))
    hooks.append(base.norm.register_forward_hook(lambda _, __, out: seen.update(final=out[0][-1])))
    out = model(input_ids=torch.tensor([ids], dtype=torch.long))
    for hook in hooks:
        hook.remove()
    if scoring is not None:
        seen["logits"] = (scoring @ seen["final"]).reshape(1)
    elif hasattr(model, "score"):
        seen["logits"] = model.score(seen["final"])[:1]
    else:
        last = out.logits[0, -1]
        # The same difference from the two rows: transformers rounds each logit to f32 before anybody can subtract.
        rows = model.lm_head.weight
        seen["logits"] = ((rows[YES] - rows[NO]) @ seen["final"]).reshape(1)
        assert (seen["logits"][0] - (last[YES] - last[NO])).abs() <= 1e-4 * last.abs().max().clamp(min=1)
    return {name: value.clone().contiguous() for name, value in seen.items()}


def scoring_vector(model):
    return model.score.weight[0] if hasattr(model, "score") else model.lm_head.weight[YES] - model.lm_head.weight[NO]


def oracle_error(config, model, traces, tolerance):
    double = load(config, model.state_dict()).double().eval()
    worst = 0.0
    for ids, values in traces:
        reference = trace(double, ids)
        worst = max([worst, *(oracle.relative_error(values[name], reference[name]) for name in values)])
    if worst > tolerance:
        raise SystemExit(f"f32 oracle differs from f64 by {worst:.2e} (limit {tolerance:.0e})")
    return worst


def random_sequences(vocab, lengths, seed):
    """Random ids; from the fourth on all begin with the same tokens, so that prefixes can be shared."""
    generator = torch.Generator().manual_seed(seed)
    common = torch.randint(0, vocab, (12,), generator=generator).tolist()
    sequences = []
    for index, length in enumerate(lengths):
        ids = torch.randint(0, vocab, (length,), generator=generator).tolist()
        if index >= 3:
            shared = min(12, length - 1)
            ids[:shared] = common[:shared]
        sequences.append(ids)
    return sequences


def make(name, spec):
    folder = FIXTURES / name
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    config = hf_config(**spec["config"])
    oracle.write_json(folder / "config.json", config)
    state = {
        key: value.to(spec["dtype"]).float()
        for key, value in random_state(build(config), spec["seed"], spec.get("outliers", False)).items()
    }
    write_shards(folder, {key: value.to(spec["dtype"]) for key, value in state.items()}, spec["shards"])

    model = load(config, state)
    last = f"layer{config['num_hidden_layers'] - 1}"
    goldens = {}
    traces = []
    sequences = random_sequences(config["vocab_size"], spec["lengths"], spec["seed"] + 100)
    for index, ids in enumerate(sequences):
        values = trace(model, ids)
        traces.append((ids, values))
        goldens[f"seq{index}.ids"] = torch.tensor(ids, dtype=torch.int32)
        goldens.update({f"seq{index}.{key}": value for key, value in values.items()})
    # Sums of 1e6 and 1 keep few digits of the 1 in f32, whoever computes them.
    error = oracle_error(config, model, traces, 3e-4 if spec.get("outliers") else oracle.ORACLE_TOLERANCE)

    labels = () if spec.get("outliers") else (("f16", torch.float16), ("bf16", torch.bfloat16))
    for label, dtype in labels:
        rounded = load(config, oracle.round_state(state, dtype))
        for index, ids in enumerate(sequences):
            values = trace(rounded, ids, scoring_vector(model))
            goldens[f"{label}/seq{index}.{last}"] = values[last]
            goldens[f"{label}/seq{index}.logits"] = values["logits"]

    provenance = {
        "command": COMMAND,
        "model": name,
        "sequences": len(sequences),
        "scored": {"yes": YES, "no": NO},
        "versions": oracle.VERSIONS,
        "f32_vs_f64": f"{error:.2e}",
    }
    save_file(goldens, str(folder / "goldens.safetensors"), metadata={"provenance": json.dumps(provenance)})
    logits = [round(goldens[f"seq{i}.logits"][0].item(), 3) for i in range(len(sequences))]
    peak = max(value.abs().max().item() for _, values in traces for key, value in values.items() if key.startswith("layer"))
    print(f"{name}: {len(sequences)} sequences, f32 vs f64 {error:.1e}, residual up to {peak:.1e}, logits {logits}")
    for file in sorted(folder.iterdir()):
        size = file.stat().st_size
        print(f"  {file.name} {size}")
        if size > LIMIT_BYTES:
            raise SystemExit(f"{file} has {size} bytes (limit {LIMIT_BYTES})")
    loaded = CLASSES[config["architectures"][0]].from_pretrained(folder, attn_implementation="eager", dtype=torch.float32)
    again = trace(loaded.eval(), sequences[-1])["logits"]
    print(f"  from_pretrained: equal {torch.equal(again, goldens[f'seq{len(sequences) - 1}.logits'])}")


if __name__ == "__main__":
    for wanted in sys.argv[1:] or list(MODELS):
        make(wanted, MODELS[wanted])
