"""Cosines and sines of rotary positions as transformers computes them in f32, for the table that the rope kernel reads.

    python scripts/make-rope-fixture.py

writes test/ops/fixtures/rope.json. Qwen3RotaryEmbedding at theta 1e6 and heads of 128, as in Qwen3-Reranker; the text side of
Qwen3-VL with three positions a token, and its vision tower with two, for heads of 64 and 72.
"""

import json
import platform
from pathlib import Path

import torch
import transformers
from transformers import Qwen3Config
from transformers.models.qwen3.modeling_qwen3 import Qwen3RotaryEmbedding
from transformers.models.qwen3_vl.configuration_qwen3_vl import Qwen3VLTextConfig, Qwen3VLVisionConfig
from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLTextRotaryEmbedding, Qwen3VLVisionRotaryEmbedding

FIXTURE = Path(__file__).resolve().parent.parent / "test" / "ops" / "fixtures" / "rope.json"
COMMAND = "python scripts/make-rope-fixture.py"
THETA = 1_000_000.0
HEAD_SIZE = 128
POSITIONS = [0, 1, 2, 3, 17, 100, 255, 1000, 2047, 4096, 6000, 8190, 8191]
INTERLEAVED_THETA = 5_000_000.0
SECTIONS = [24, 20, 20]
INTERLEAVED = [[0, 0, 0], [5, 5, 5], [21, 22, 23], [14, 14, 40], [300, 321, 300], [8100, 8111, 8191]]
ROW_COLUMN_THETA = 10_000.0
ROW_COLUMN = [[0, 0], [0, 1], [1, 0], [7, 30], [47, 12], [255, 254]]


def rounded(values):
    return [float(f"{value:.9g}") for value in values.tolist()]  # nine digits tell every f32 apart


def halves(cos, sin):
    """The first half of rows whose halves are the same."""
    half = cos.shape[-1] // 2
    assert torch.equal(cos[:, :half], cos[:, half:]) and torch.equal(sin[:, :half], sin[:, half:])
    return {"cos": [rounded(row[:half]) for row in cos], "sin": [rounded(row[:half]) for row in sin]}


def one_axis():
    config = Qwen3Config(
        hidden_size=1024,
        num_attention_heads=16,
        num_key_value_heads=8,
        head_dim=HEAD_SIZE,
        rope_parameters={"rope_type": "default", "rope_theta": THETA},
    )
    rope = Qwen3RotaryEmbedding(config)
    cos, sin = rope(torch.zeros(1), torch.tensor([POSITIONS]))
    return {
        "theta": THETA,
        "headSize": HEAD_SIZE,
        "positions": POSITIONS,
        "inverseFrequencies": rounded(rope.inv_freq),
        **halves(cos[0], sin[0]),
    }


def interleaved():
    config = Qwen3VLTextConfig(
        hidden_size=2048,
        num_attention_heads=16,
        num_key_value_heads=8,
        head_dim=HEAD_SIZE,
        rope_parameters={
            "rope_type": "default",
            "rope_theta": INTERLEAVED_THETA,
            "mrope_section": SECTIONS,
            "mrope_interleaved": True,
        },
    )
    rope = Qwen3VLTextRotaryEmbedding(config)
    cos, sin = rope(torch.zeros(1), torch.tensor(INTERLEAVED).T[:, None, :])
    return {
        "theta": INTERLEAVED_THETA,
        "headSize": HEAD_SIZE,
        "sections": SECTIONS,
        "positions": INTERLEAVED,
        **halves(cos[0], sin[0]),
    }


def row_column(head_size):
    config = Qwen3VLVisionConfig(
        hidden_size=16 * head_size,
        num_heads=16,
        rope_parameters={"rope_type": "axial", "rope_theta": ROW_COLUMN_THETA},
    )
    rope = Qwen3VLVisionRotaryEmbedding(config)
    cos, sin = rope(torch.zeros(1), torch.tensor(ROW_COLUMN))
    return {"theta": ROW_COLUMN_THETA, "headSize": head_size, "positions": ROW_COLUMN, **halves(cos, sin)}


def main():
    fixture = {
        "command": COMMAND,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "cpu": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}",
        **one_axis(),
        "interleaved": interleaved(),
        "rowColumn": [row_column(head_size) for head_size in (64, 72)],
    }
    lines = json.dumps(fixture, separators=(",", ":")).replace(',"', ',\n"').replace("],[", "],\n[")
    FIXTURE.parent.mkdir(parents=True, exist_ok=True)
    FIXTURE.write_text(lines + "\n")


if __name__ == "__main__":
    main()
