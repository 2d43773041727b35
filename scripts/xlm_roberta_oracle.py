"""Random XLM-RoBERTa sequence classifiers in the layout Hugging Face publishes, and what transformers computes with them.

Shared by make-xlm-roberta-goldens.py and make-tiny-xlm-roberta.py. Needs torch, transformers and safetensors.
"""

import json
import platform
from pathlib import Path

import safetensors
import torch
import transformers
from safetensors.torch import save_file
from transformers import XLMRobertaConfig, XLMRobertaForSequenceClassification

torch.set_num_threads(1)  # one summation order whatever the machine
torch.use_deterministic_algorithms(True)

VERSIONS = {
    "python": platform.python_version(),
    "torch": torch.__version__,
    "transformers": transformers.__version__,
    "safetensors": safetensors.__version__,
}

# relative_error of f32 against f64 must stay below this, or the golden itself would eat the tests' tolerance of 1e-4.
ORACLE_TOLERANCE = 1e-5


def hf_config(*, hidden, layers, heads, intermediate, vocab, max_positions, labels=1, dtype="float32"):
    """config.json with the keys that BAAI/bge-reranker-v2-m3 publishes, in its order."""
    return {
        "architectures": ["XLMRobertaForSequenceClassification"],
        "attention_probs_dropout_prob": 0.1,
        "bos_token_id": 0,
        "classifier_dropout": None,
        "eos_token_id": 2,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "hidden_size": hidden,
        "id2label": {str(i): f"LABEL_{i}" for i in range(labels)},
        "initializer_range": 0.02,
        "intermediate_size": intermediate,
        "label2id": {f"LABEL_{i}": i for i in range(labels)},
        "layer_norm_eps": 1e-05,
        "max_position_embeddings": max_positions,
        "model_type": "xlm-roberta",
        "num_attention_heads": heads,
        "num_hidden_layers": layers,
        "output_past": True,
        "pad_token_id": 1,
        "position_embedding_type": "absolute",
        "torch_dtype": dtype,
        "transformers_version": "4.38.1",
        "type_vocab_size": 1,
        "use_cache": True,
        "vocab_size": vocab,
    }


def build_model(config):
    model = XLMRobertaForSequenceClassification._from_config(
        XLMRobertaConfig(**config), attn_implementation="eager", dtype=torch.float32
    )
    return model.eval()


def random_state(config, seed, out_gain=2.0):
    """Weights that make every term of the model visible in its output.

    Matrices have a standard deviation of about 1.2/sqrt(fan-in): after a LayerNorm the attention logits then vary by
    about 1, so softmax is neither flat nor one-hot. Vectors (biases, LayerNorm, the token-type row) are multiples of
    1/128 below 2, exact in f32, f16 and bf16: an engine may keep them in f32 beside f16 matrices without changing the result.
    """
    generator = torch.Generator().manual_seed(seed)

    def normal(shape, std):
        return torch.randn(shape, generator=generator) * std

    def exact(value):
        return (value * 128).round().clamp(-255, 255) / 128

    state = {}
    for name, tensor in build_model(config).state_dict().items():
        shape = tuple(tensor.shape)
        if "token_type_embeddings" in name:
            value = exact(normal(shape, 0.4))
        elif "word_embeddings" in name or "position_embeddings" in name:
            value = normal(shape, 0.6)
        elif "LayerNorm.weight" in name:
            value = exact(1 + normal(shape, 0.25))
        elif name.endswith("bias"):
            value = exact(normal(shape, 0.2))
        elif "out_proj" in name:
            value = normal(shape, out_gain / shape[1] ** 0.5)
        else:
            value = normal(shape, 1.2 / shape[1] ** 0.5)
        state[name] = value.contiguous()
    return state


def round_state(state, dtype):
    return {name: value.to(dtype).to(torch.float32) for name, value in state.items()}


def load_state(config, state):
    model = build_model(config)
    missing, unexpected = model.load_state_dict(state, strict=True)
    assert not missing and not unexpected
    return model


@torch.no_grad()
def trace(model, ids):
    """Every intermediate of one sequence, computed alone and without padding.

    Returns embeddings [S, C] (after LayerNorm), layer{l} [S, C], final [C] (token 0 of the last layer),
    pooled [C] (tanh(dense(final))), logits [labels].
    """
    seen = {}
    hook = model.classifier.out_proj.register_forward_pre_hook(lambda _, inputs: seen.update(pooled=inputs[0][0]))
    out = model(input_ids=torch.tensor([ids], dtype=torch.long), output_hidden_states=True)
    hook.remove()
    hidden = [h[0] for h in out.hidden_states]
    assert len(hidden) == model.config.num_hidden_layers + 1
    result = {"embeddings": hidden[0]}
    for index, value in enumerate(hidden[1:]):
        result[f"layer{index}"] = value
    result["final"] = hidden[-1][0]
    result["pooled"] = seen["pooled"]
    result["logits"] = out.logits[0]
    return {name: value.clone().contiguous() for name, value in result.items()}


def relative_error(value, reference):
    """max|difference| / max|reference|; values below 1 count as 1, since a single logit may be next to zero."""
    reference = reference.double()
    return ((value.double() - reference).abs().max() / reference.abs().max().clamp(min=1)).item()


def oracle_error(model, traces):
    """Largest relative difference between the f32 traces and the same model in f64."""
    double = load_state_f64(model)
    worst = 0.0
    for ids, values in traces:
        reference = trace(double, ids)
        worst = max([worst, *(relative_error(values[name], reference[name]) for name in values)])
    if worst > ORACLE_TOLERANCE:
        raise SystemExit(f"f32 oracle differs from f64 by {worst:.2e} (limit {ORACLE_TOLERANCE:.0e})")
    return worst


def load_state_f64(model):
    config = model.config
    double = XLMRobertaForSequenceClassification._from_config(config, attn_implementation="eager", dtype=torch.float32)
    double.load_state_dict(model.state_dict())
    return double.double().eval()


def write_json(path, value):
    Path(path).write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def save_weights(path, state):
    # Hugging Face writes this metadata; readers may rely on it.
    save_file({name: value.contiguous() for name, value in state.items()}, str(path), metadata={"format": "pt"})
