"""Logits that transformers computes in f32 for token ids, to check a bench's or a server's scores against.

    python scripts/score-xlm-roberta.py MODEL_FOLDER RESULT.json

RESULT.json holds `ids` (list of lists) and `results` with `engine` and `scores`, as bench/peers writes it.
"""

import json
import sys

import torch
from transformers import XLMRobertaForSequenceClassification

model = XLMRobertaForSequenceClassification.from_pretrained(
    sys.argv[1], attn_implementation="eager", dtype=torch.float32
).eval()
with open(sys.argv[2], encoding="utf-8") as file:
    report = json.load(file)
with torch.no_grad():
    oracle = [model(input_ids=torch.tensor([ids])).logits[0, 0].item() for ids in report["ids"]]
print("transformers", oracle)
worst = 0.0
for result in report["results"]:
    difference = max(abs(a - b) for a, b in zip(oracle, result["scores"], strict=True))
    worst = max(worst, difference)
    print(f"{result['engine']}: max|difference| {difference:.2e}")
sys.exit(worst > 1e-3)
