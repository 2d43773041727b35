"""The JSON files of a Qwen3-VL checkpoint, with the keys that Qwen publishes. Used by qwen3_vl_oracle.py."""

PATCH, MERGE, TEMPORAL = 16, 2, 2


def hf_config(*, text, vision, ids, tied, dtype):
    """config.json with the keys that Qwen publishes for Qwen3-VL, in its order."""
    return {
        "architectures": ["Qwen3VLForConditionalGeneration"],
        "image_token_id": ids["image"],
        "model_type": "qwen3_vl",
        "text_config": {
            "attention_bias": False,
            "attention_dropout": 0.0,
            "bos_token_id": text.get("bos", 1),
            "dtype": dtype,
            "eos_token_id": text.get("eos", 2),
            "head_dim": text["head_dim"],
            "hidden_act": "silu",
            "hidden_size": text["hidden"],
            "initializer_range": 0.02,
            "intermediate_size": text["intermediate"],
            "max_position_embeddings": text.get("positions", 4096),
            "model_type": "qwen3_vl_text",
            "num_attention_heads": text["heads"],
            "num_hidden_layers": text["layers"],
            "num_key_value_heads": text["kv_heads"],
            "rms_norm_eps": 1e-06,
            "rope_scaling": {
                "mrope_interleaved": True,
                "mrope_section": text["section"],
                "rope_type": "default",
            },
            "rope_theta": 5000000,
            "tie_word_embeddings": tied,
            "use_cache": True,
            "vocab_size": text["vocab"],
        },
        "tie_word_embeddings": tied,
        "transformers_version": "4.57.0.dev0",
        "video_token_id": ids["video"],
        "vision_config": {
            "deepstack_visual_indexes": vision["deepstack"],
            "depth": vision["depth"],
            "hidden_act": "gelu_pytorch_tanh",
            "hidden_size": vision["hidden"],
            "in_channels": 3,
            "initializer_range": 0.02,
            "intermediate_size": vision["intermediate"],
            "model_type": "qwen3_vl",
            "num_heads": vision["heads"],
            "num_position_embeddings": vision["positions"],
            "out_hidden_size": text["hidden"],
            "patch_size": PATCH,
            "spatial_merge_size": MERGE,
            "temporal_patch_size": TEMPORAL,
        },
        "vision_end_token_id": ids["end"],
        "vision_start_token_id": ids["start"],
    }


def preprocessor_config(shortest, longest, form="both"):
    """preprocessor_config.json. `form`: bounds as `size`, as `min_pixels`/`max_pixels`, or both, as checkpoints differ."""
    config = {
        "crop_size": None,
        "data_format": "channels_first",
        "default_to_square": True,
        "device": None,
        "disable_grouping": None,
        "do_center_crop": None,
        "do_convert_rgb": True,
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_processor_type": "Qwen2VLImageProcessorFast",
        "image_std": [0.5, 0.5, 0.5],
        "input_data_format": None,
        "merge_size": MERGE,
        "patch_size": PATCH,
        "resample": 3,
        "rescale_factor": 0.00392156862745098,
        "return_tensors": None,
        "temporal_patch_size": TEMPORAL,
    }
    if form != "size":
        config |= {"max_pixels": longest, "min_pixels": shortest}
    if form != "pixels":
        config["size"] = {"longest_edge": longest, "shortest_edge": shortest}
    return dict(sorted(config.items()))


def video_preprocessor_config(shortest, longest):
    """video_preprocessor_config.json as the base models publish it."""
    return {
        "crop_size": None,
        "data_format": "channels_first",
        "default_to_square": True,
        "device": None,
        "do_center_crop": None,
        "do_convert_rgb": True,
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "do_sample_frames": True,
        "fps": 2,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "input_data_format": None,
        "max_frames": 768,
        "merge_size": MERGE,
        "min_frames": 4,
        "num_frames": None,
        "patch_size": PATCH,
        "processor_class": "Qwen3VLProcessor",
        "resample": 3,
        "rescale_factor": 0.00392156862745098,
        "return_metadata": False,
        "size": {"longest_edge": longest, "shortest_edge": shortest},
        "temporal_patch_size": TEMPORAL,
        "video_processor_type": "Qwen3VLVideoProcessor",
    }
