"""What the golden scripts share: where fixtures go, and safetensors files in one piece or in shards."""

from pathlib import Path

import xlm_roberta_oracle as oracle

FIXTURES = Path(__file__).resolve().parent.parent / "test" / "golden" / "fixtures"
LIMIT_BYTES = 1_000_000


def write_shards(folder, stored, shards):
    """model.safetensors, or `shards` files and their index as Hugging Face writes them."""
    if shards == 1:
        oracle.save_weights(folder / "model.safetensors", stored)
        return
    names = list(stored)
    per_shard = -(-len(names) // shards)
    write_parts(folder, stored, [names[index * per_shard : (index + 1) * per_shard] for index in range(shards)])


def write_shards_by_size(folder, stored, limit_bytes):
    """Files of at most `limit_bytes` of weights, filled in the order of the names, and their index."""
    parts, room = [], 0
    for name, value in stored.items():
        size = value.numel() * value.element_size()
        if size > room:
            parts.append([])
            room = limit_bytes
        parts[-1].append(name)
        room -= size
    write_parts(folder, stored, parts)


def write_parts(folder, stored, parts):
    weight_map = {}
    for index, part in enumerate(parts):
        file = f"model-{index + 1:05}-of-{len(parts):05}.safetensors"
        oracle.save_weights(folder / file, {name: stored[name] for name in part})
        weight_map.update({name: file for name in part})
    total = sum(value.numel() * value.element_size() for value in stored.values())
    index_json = {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}
    oracle.write_json(folder / "model.safetensors.index.json", index_json)
