"""Cosines and sines of rotary positions as transformers computes them in f32, for the table that the rope kernel reads.

    python scripts/make-rope-fixture.py

writes test/ops/fixtures/rope.json. Qwen3RotaryEmbedding at theta 1e6 and heads of 128, as in Qwen3-Reranker.
"""

import json
import platform
from pathlib import Path

import torch
import transformers
from transformers import Qwen3Config
from transformers.models.qwen3.modeling_qwen3 import Qwen3RotaryEmbedding

FIXTURE = Path(__file__).resolve().parent.parent / "test" / "ops" / "fixtures" / "rope.json"
COMMAND = "python scripts/make-rope-fixture.py"
THETA = 1_000_000.0
HEAD_SIZE = 128
POSITIONS = [0, 1, 2, 3, 17, 100, 255, 1000, 2047, 4096, 6000, 8190, 8191]


def main():
    config = Qwen3Config(
        hidden_size=1024,
        num_attention_heads=16,
        num_key_value_heads=8,
        head_dim=HEAD_SIZE,
        rope_parameters={"rope_type": "default", "rope_theta": THETA},
    )
    rope = Qwen3RotaryEmbedding(config)
    cos, sin = rope(torch.zeros(1), torch.tensor([POSITIONS]))
    half = HEAD_SIZE // 2
    assert torch.equal(cos[..., :half], cos[..., half:]) and torch.equal(sin[..., :half], sin[..., half:])

    def rounded(values):
        return [float(f"{value:.9g}") for value in values.tolist()]  # nine digits tell every f32 apart

    fixture = {
        "command": COMMAND,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "cpu": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}",
        "theta": THETA,
        "headSize": HEAD_SIZE,
        "positions": POSITIONS,
        "inverseFrequencies": rounded(rope.inv_freq),
        "cos": [rounded(row[:half]) for row in cos[0]],
        "sin": [rounded(row[:half]) for row in sin[0]],
    }
    lines = json.dumps(fixture, separators=(",", ":")).replace(',"', ',\n"').replace("],[", "],\n[")
    FIXTURE.parent.mkdir(parents=True, exist_ok=True)
    FIXTURE.write_text(lines + "\n")


if __name__ == "__main__":
    main()
