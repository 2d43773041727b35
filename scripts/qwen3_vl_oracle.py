"""Qwen3-VL as transformers computes it: processors without their native operators, and every intermediate of one prompt.

Shared by make-qwen3-vl-goldens.py, make-tiny-qwen3-vl.py and make-vl-prompts.py. Needs torch, torchvision and transformers.
"""

import itertools

import numpy as np
import torch

# torchvision registers shapes of two compiled operators on import; they are missing beside a CPU-only torch and unused here.
_operators = torch.library.Library("torchvision", "FRAGMENT")
for _name in ("nms", "qnms"):
    if not hasattr(torch.ops.torchvision, _name):
        _operators.define(_name + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

import torchvision  # noqa: E402
from transformers import (  # noqa: E402
    Qwen2VLImageProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLVideoProcessor,
)

import xlm_roberta_oracle as oracle  # noqa: E402
from qwen3_vl_layout import MERGE  # noqa: E402

VERSIONS = {**oracle.VERSIONS, "torchvision": torchvision.__version__}


def build(config):
    # The configuration class keeps and changes the dictionaries it is given.
    hf = Qwen3VLConfig(**{key: dict(value) if isinstance(value, dict) else value for key, value in config.items()})
    return Qwen3VLForConditionalGeneration._from_config(hf, attn_implementation="eager", dtype=torch.float32).eval()


def load(config, state):
    model = build(config)
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected and set(missing) <= {"lm_head.weight"}, (missing, unexpected)
    model.tie_weights()
    return model


def random_state(model, seed, *, embedding_std=0.6, head_norm=1.0):
    """Weights that make every term visible; vectors and the position table are multiples of 1/128, exact in every type."""
    generator = torch.Generator().manual_seed(seed)

    def normal(shape, std):
        return torch.randn(shape, generator=generator) * std

    def exact(value):
        return (value * 128).round().clamp(-255, 255) / 128

    state = {}
    for name, tensor in sorted(model.state_dict().items()):
        shape = tuple(tensor.shape)
        if name.endswith("norm.weight") or "norm1.weight" in name or "norm2.weight" in name or "layernorm.weight" in name:
            mean = head_norm if name.endswith(("q_norm.weight", "k_norm.weight")) else 1.0
            value = exact(mean + normal(shape, 0.25))
        elif name.endswith("bias"):
            value = exact(normal(shape, 0.2))
        elif name.endswith("pos_embed.weight"):
            value = exact(normal(shape, 0.6))
        elif "embed_tokens" in name or name == "lm_head.weight":
            value = normal(shape, embedding_std)
        else:
            # Pixels have about half the variance of what a norm gives.
            gain = 1.6 if "patch_embed" in name else 1.2
            value = normal(shape, gain / tensor[0].numel() ** 0.5)
        state[name] = value.contiguous()
    if model.config.tie_word_embeddings:
        state.pop("lm_head.weight", None)
    return state


def processors(folder):
    return Qwen2VLImageProcessor.from_pretrained(folder), Qwen3VLVideoProcessor.from_pretrained(folder)


def pixel_values(images, videos, frames):
    """Patches and grid of one medium, uint8 [frames, H, W, 3] already resized: an image when it has one frame."""
    assert frames.dtype == np.uint8 and frames.ndim == 4
    tensor = torch.from_numpy(frames).permute(0, 3, 1, 2).contiguous()
    if len(frames) == 1:
        out = images(images=[tensor[0]], do_resize=False, return_tensors="pt")
        return out["pixel_values"], out["image_grid_thw"][0]
    out = videos(videos=[tensor], do_resize=False, do_sample_frames=False, cap_pixels_per_frame=False, return_tensors="pt")
    return out["pixel_values_videos"], out["video_grid_thw"][0]


def token_types(config, ids):
    kinds = {config["image_token_id"]: 1, config["video_token_id"]: 2}
    return [kinds.get(token, 0) for token in ids]


def media_by_run(config, ids, media):
    """Checks that `media` (patches, grid, is video) fit the runs of pads in `ids`; a clip has one run per temporal group."""
    groups = [(kind, len(list(run))) for kind, run in itertools.groupby(token_types(config, ids)) if kind]
    wanted = []
    for _, grid, video in media:
        t, h, w = grid.tolist()
        wanted += [(2 if video else 1, h * w // MERGE**2)] * t
    assert groups == wanted, (groups, wanted)


@torch.no_grad()
def trace(model, config, ids, media, scored, scoring=None):
    """Every intermediate of one prompt. `media`: (pixel values [P, 1536], grid [3], is video) in order of appearance.

    positions [3, T]; vision.embeddings, vision.block{l} [P, V]; vision.merged, vision.deepstack{k} [M, C]; embeddings and
    layer{l} [T, C] (what the next layer reads: after the deepstack addition); final [C]; logits [1]. The media's rows stand
    in order of appearance, though transformers runs images and videos apart. `scoring` replaces the scoring vector.
    """
    media_by_run(config, ids, media)
    seen = {}
    calls = {}
    hooks = []

    def keep(module, name, *, before=False, each=False):
        def hook(*given):
            value = given[1][0] if before else given[2]
            value = value[0] if isinstance(value, tuple) else value
            if each:
                calls.setdefault(name, []).append(value)
            else:
                seen[name] = value
        hooks.append((module.register_forward_pre_hook if before else module.register_forward_hook)(hook))

    visual, language = model.model.visual, model.model.language_model
    keep(visual.blocks[0], "vision.embeddings", before=True, each=True)
    for index, block in enumerate(visual.blocks):
        keep(block, f"vision.block{index}", each=True)
    keep(visual.merger, "vision.merged", each=True)
    for index, merger in enumerate(visual.deepstack_merger_list):
        keep(merger, f"vision.deepstack{index}", each=True)
    keep(language.layers[0], "embeddings", before=True)
    for index, following in enumerate([*language.layers[1:], language.norm]):
        keep(following, f"layer{index}", before=True)
    keep(language.norm, "final")
    hooks.append(language.rotary_emb.register_forward_pre_hook(lambda _, inputs: seen.update(positions=inputs[1])))

    given = {}
    for video, names in ((False, ("pixel_values", "image_grid_thw")), (True, ("pixel_values_videos", "video_grid_thw"))):
        chosen = [(pixels, grid) for pixels, grid, is_video in media if is_video == video]
        if chosen:
            given[names[0]] = torch.cat([pixels for pixels, _ in chosen])
            given[names[1]] = torch.stack([grid for _, grid in chosen])
    if given:
        given["mm_token_type_ids"] = torch.tensor([token_types(config, ids)])
    out = model(input_ids=torch.tensor([ids], dtype=torch.long), use_cache=False, **given)
    for hook in hooks:
        hook.remove()

    result = {"positions": seen["positions"][:, 0].to(torch.int32)}
    order = sorted(range(len(media)), key=lambda j: media[j][2])
    for name, values in calls.items():
        rows = torch.cat(values)
        divisor = MERGE**2 if "merged" in name or "deepstack" in name else 1
        parts = dict(zip(order, torch.split(rows, [len(media[j][0]) // divisor for j in order])))
        result[name] = torch.cat([parts[j] for j in range(len(media))])
    for name, value in seen.items():
        if name not in ("positions", "final"):
            result[name] = value[0]
    result["final"] = seen["final"][0, -1]
    rows = model.lm_head.weight
    yes, no = scored
    last = out.logits[0, -1]
    # The difference from the two rows: transformers rounds each logit to f32 before anybody can subtract.
    vector = rows[yes] - rows[no]
    value = (vector @ result["final"]).reshape(1)
    assert (value[0] - (last[yes] - last[no])).abs() <= 1e-4 * last.abs().max().clamp(min=1)
    result["logits"] = value if scoring is None else (scoring @ result["final"]).reshape(1)
    return {name: value.clone().contiguous() for name, value in result.items()}


def oracle_error(config, model, traces, scored, tolerance=oracle.ORACLE_TOLERANCE):
    """Largest relative difference of the f32 traces from the same model in f64 (norms and softmax stay in f32 there)."""
    double = load(config, model.state_dict()).double().eval()
    worst = 0.0
    for ids, media, values in traces:
        wide = [(pixels.double(), grid, video) for pixels, grid, video in media]
        reference = trace(double, config, ids, wide, scored)
        assert torch.equal(reference["positions"], values["positions"])
        worst = max([worst, *(oracle.relative_error(values[name], reference[name]) for name in values)])
    if worst > tolerance:
        raise SystemExit(f"f32 oracle differs from f64 by {worst:.2e} (limit {tolerance:.0e})")
    return worst
