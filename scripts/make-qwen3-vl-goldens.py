"""Tiny random Qwen3-VL rerankers and every intermediate that transformers computes with them in f32.

    python scripts/make-qwen3-vl-goldens.py

writes test/golden/fixtures/qwen3-vl-{a,b,c}/ (model folder plus goldens.safetensors); test/golden/fixtures/README.md
describes the names. Pictures are random and already in their final size; patch order, normalisation and M-RoPE positions
are transformers'. The logit is z_yes - z_no of the last position.
"""

import json
import re
import sys

import numpy as np
import torch
from safetensors.torch import save_file

import qwen3_vl_layout as layout
import qwen3_vl_oracle as vl
import xlm_roberta_oracle as oracle
from make_goldens_common import FIXTURES, LIMIT_BYTES, write_shards, write_shards_by_size

COMMAND = "python scripts/make-qwen3-vl-goldens.py"
YES, NO = 17, 5
IDS = {"start": 11, "end": 12, "image": 13, "video": 14}
SPECIAL = sorted(IDS.values())

MODELS = {
    # The 2B layout: tied, the published table of 48 x 48 positions, more language layers than deepstack levels, one bf16 file.
    "qwen3-vl-a": dict(
        text=dict(hidden=64, layers=4, heads=4, kv_heads=2, head_dim=32, intermediate=96, vocab=320, section=[6, 5, 5]),
        vision=dict(depth=4, hidden=32, heads=2, intermediate=96, deepstack=[0, 1, 2], positions=2304),
        tied=True, dtype=torch.bfloat16, seed=31, bounds="both",
        full=("text", "document", "interleaved", "query clip"),
    ),
    # The 8B layout: untied output layer, vision heads of 72, sizes that are multiples of 4 and not of 16, config and rope as
    # transformers 5 writes them, shards and an index. Storage is f16: the merger's first matrix alone has 331,776 values.
    "qwen3-vl-b": dict(
        text=dict(hidden=60, layers=2, heads=6, kv_heads=3, head_dim=16, intermediate=100, vocab=212, section=[4, 2, 2]),
        vision=dict(depth=3, hidden=144, heads=2, intermediate=100, deepstack=[1], positions=64),
        tied=False, dtype=torch.float16, seed=32, bounds="pixels", modern=True, sharded=True,
        full=("document", "query clip"),
    ),
    # Fewer language layers than deepstack levels, the last of them after the last block; the published head size of 128 and
    # its sections; f32; tensors named as before transformers 4.52 (`visual.`, `model.` without `language_model.`).
    "qwen3-vl-c": dict(
        text=dict(hidden=48, layers=2, heads=1, kv_heads=1, head_dim=128, intermediate=48, vocab=160, section=[24, 20, 20]),
        vision=dict(depth=4, hidden=32, heads=1, intermediate=48, deepstack=[0, 2, 3], positions=64),
        tied=True, dtype=torch.float32, seed=33, bounds="size", old_names=True,
        full=("document", "interleaved", "query clip"),
    ),
}

# Height and width in pixels, frames (1: an image), seed.
PICTURES = {
    "flat": (32, 64, 1, 1), "square": (64, 64, 1, 2), "tall": (96, 64, 1, 3), "other": (64, 64, 1, 4),
    "large": (128, 64, 1, 5), "wide": (32, 96, 1, 6), "dot": (32, 32, 1, 7), "clip": (64, 32, 4, 8), "odd": (32, 64, 3, 9),
}
# Text is a number of random tokens; `prompt` and `middle` are the same tokens everywhere.
CASES = {
    "text": ["prompt", 4, "middle", 9, "suffix"],
    "document": ["prompt", 3, "middle", "flat", "suffix"],
    "both": ["prompt", "square", "middle", "tall", "suffix"],
    # Begins as `both`, picture included.
    "both, other document": ["prompt", "square", "middle", 13, "suffix"],
    # The ids of `both` with another picture in the query: nothing after it may be shared.
    "both, other picture": ["prompt", "other", "middle", "tall", "suffix"],
    "interleaved": ["prompt", 3, "middle", 2, "large", 5, "wide", 1, "suffix"],
    "clip": ["prompt", 2, "middle", "clip", "suffix"],
    "image and clip": ["prompt", 2, "square", "middle", 3, "clip", 2, "suffix"],
    # Three frames: the last counts twice. The image comes after the clip.
    "query clip": ["prompt", "odd", 2, "middle", "flat", 4, "suffix"],
    "same picture twice": ["prompt", "square", "middle", 1, "square", "suffix"],
    "one token": ["prompt", 1, "middle", "dot", "suffix"],
}


def picture(name):
    """uint8 [frames, H, W, 3]: slopes and waves under noise, so that every patch and every frame differs."""
    height, width, frames, seed = PICTURES[name]
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    out = np.empty((frames, height, width, 3), np.uint8)
    for frame in range(frames):
        for channel in range(3):
            a, b, phase = random.uniform(-6, 6), random.uniform(-6, 6), random.uniform(0, 6)
            wave = 127.5 + 90 * np.sin(a * x / width + b * y / height + phase)
            out[frame, :, :, channel] = np.clip(wave + random.normal(0, 40, wave.shape), 0, 255)
    return out


def text_ids(vocab, length, generator):
    allowed = [token for token in range(vocab) if token not in SPECIAL]
    return [allowed[index] for index in torch.randint(0, len(allowed), (length,), generator=generator).tolist()]


def expand(parts, vocab, seed, pixels):
    """Ids with pads in place and the media in order; a clip's groups have text before them, as its time stamps do."""
    common = torch.Generator().manual_seed(seed)
    named = {key: text_ids(vocab, length, common) for key, length in (("prompt", 7), ("middle", 3), ("suffix", 5))}
    own = torch.Generator().manual_seed(seed + 1 + sum(part for part in parts if isinstance(part, int)))
    stamps = torch.Generator().manual_seed(seed + 500)
    ids, media = [], []
    for part in parts:
        if isinstance(part, int):
            ids += text_ids(vocab, part, own)
        elif part in named:
            ids += named[part]
        else:
            frames = picture(part)
            patches, grid = pixels(frames)
            t, h, w = grid.tolist()
            video = len(frames) > 1
            for _ in range(t):
                ids += text_ids(vocab, 3, stamps) if video else []
                ids += [IDS["start"], *[IDS["video" if video else "image"]] * (h * w // layout.MERGE**2), IDS["end"]]
            media.append((frames, patches, grid, video))
    return ids, media


def write_config(folder, config, spec):
    if spec.get("modern"):
        hf = vl.build(config).config
        for part in (hf, hf.text_config, hf.vision_config):
            part.dtype = spec["dtype"]
        hf.save_pretrained(folder)
    else:
        oracle.write_json(folder / "config.json", config)
    # Bounds that leave the sizes above as they are.
    oracle.write_json(folder / "preprocessor_config.json", layout.preprocessor_config(1024, 1310720, spec["bounds"]))
    oracle.write_json(folder / "video_preprocessor_config.json", layout.video_preprocessor_config(4096, 25165824))


def old_name(name):
    return re.sub(r"^model\.visual\.", "visual.", re.sub(r"^model\.language_model\.", "model.", name))


OLD_NAMES = {r"^visual\.": "model.visual.", r"^model\.(?!visual\.|language_model\.)": "model.language_model."}


def make(name, spec):
    folder = FIXTURES / name
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    dtype = spec["dtype"]
    config = layout.hf_config(
        text=spec["text"], vision=spec["vision"], ids=IDS, tied=spec["tied"], dtype=str(dtype).removeprefix("torch.")
    )
    write_config(folder, config, spec)
    state = {key: value.to(dtype).float() for key, value in vl.random_state(vl.build(config), spec["seed"]).items()}
    stored = {old_name(key) if spec.get("old_names") else key: value.to(dtype) for key, value in state.items()}
    if spec.get("sharded"):
        write_shards_by_size(folder, stored, LIMIT_BYTES - 20_000)
    else:
        write_shards(folder, stored, 1)

    model = vl.load(config, state)
    images, videos = vl.processors(folder)
    goldens, traces = {}, []
    for index, (title, parts) in enumerate(CASES.items()):
        ids, media = expand(parts, spec["text"]["vocab"], spec["seed"] + 100, lambda x: vl.pixel_values(images, videos, x))
        given = [(patches, grid, video) for _, patches, grid, video in media]
        values = vl.trace(model, config, ids, given, (YES, NO))
        traces.append((ids, given, values))
        goldens[f"case{index}.ids"] = torch.tensor(ids, dtype=torch.int32)
        for j, (frames, patches, grid, _) in enumerate(media):
            goldens[f"case{index}.media{j}.rgb"] = torch.from_numpy(frames)
            goldens[f"case{index}.media{j}.grid"] = grid.to(torch.int32)
            if title in ("document", "query clip") and (name == "qwen3-vl-a" or title == "document") and len(frames) != 4:
                goldens[f"case{index}.media{j}.pixel_values"] = patches
        always = ("positions", "final", "logits")
        kept = {key: value for key, value in values.items() if title in spec["full"] or key in always}
        goldens.update({f"case{index}.{key}": value for key, value in kept.items()})
    titles = list(CASES)
    assert traces[titles.index("both")][0] == traces[titles.index("both, other picture")][0]
    error = vl.oracle_error(config, model, traces, (YES, NO))

    last = f"layer{spec['text']['layers'] - 1}"
    vector = model.lm_head.weight[YES] - model.lm_head.weight[NO]
    for label, rounding in (("f16", torch.float16), ("bf16", torch.bfloat16)):
        rounded = vl.load(config, oracle.round_state(state, rounding))
        for index, (ids, given, _) in enumerate(traces):
            values = vl.trace(rounded, config, ids, given, (YES, NO), vector)
            goldens[f"{label}/case{index}.logits"] = values["logits"]
            if titles[index] in spec["full"][-1:]:
                goldens[f"{label}/case{index}.{last}"] = values[last]

    provenance = {
        "command": COMMAND,
        "model": name,
        "cases": titles,
        "full": [titles.index(title) for title in spec["full"]],
        "scored": {"yes": YES, "no": NO},
        "versions": vl.VERSIONS,
        "f32_vs_f64": f"{error:.2e}",
    }
    save_file(goldens, str(folder / "goldens.safetensors"), metadata={"provenance": json.dumps(provenance)})
    print(f"{name}: {len(titles)} cases, f32 vs f64 {error:.1e}")
    for index, title in enumerate(titles):
        ids, _, values = traces[index]
        print(f"  case{index} {title}: {len(ids)} tokens, logit {values['logits'][0]:.3f}")
    peaks = {key: round(traces[titles.index(spec["full"][-1])][2][key].float().std().item(), 2) for key in traces[-1][2] if key not in ("positions", "logits")}
    print(f"  standard deviations {peaks}")
    for file in sorted(folder.iterdir()):
        size = file.stat().st_size
        print(f"  {file.name} {size}")
        if size > LIMIT_BYTES:
            raise SystemExit(f"{file} has {size} bytes (limit {LIMIT_BYTES})")
    mapping = {"key_mapping": OLD_NAMES} if spec.get("old_names") else {}
    loaded = vl.Qwen3VLForConditionalGeneration.from_pretrained(
        folder, attn_implementation="eager", dtype=torch.float32, **mapping
    )
    again = vl.trace(loaded.eval(), config, *traces[-1][:2], (YES, NO))["logits"]
    difference = (again - traces[-1][2]["logits"]).abs().item()
    print(f"  from_pretrained: differs by {difference:.1e}")
    assert difference <= 1e-5


if __name__ == "__main__":
    for wanted in sys.argv[1:] or list(MODELS):
        make(wanted, MODELS[wanted])
