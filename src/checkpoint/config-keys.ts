const provenance = 'says where the checkpoint comes from';
const training = 'used in training only';
const output = 'chooses what the Python class returns or caches, not what it computes';
const generation = 'default of text generation';
const special = 'the tokenizer decides which ids a text becomes';
const kernels = 'chooses an implementation of the same math; wgrank has its own';
const labels = 'name of an output';

/**
 * Keys of Hugging Face config.json files that never change an inference forward pass, with the reason. For `ConfigReader.ignore`.
 * Not here, because they can: `pad_token_id` (position offset), `is_decoder`, `add_cross_attention`, `is_encoder_decoder`,
 * `pruned_heads`, `tie_word_embeddings`, `position_embedding_type`, `auto_map` (code by name), `id2label` and `num_labels`.
 */
export const neutralConfigKeys: Readonly<Record<string, string>> = {
  _commit_hash: provenance,
  _name_or_path: provenance,
  finetuning_task: provenance,
  task_specific_params: provenance,
  transformers_version: provenance,

  dtype: 'the tensors carry their own dtype',
  torch_dtype: 'the tensors carry their own dtype',
  use_bfloat16: 'the tensors carry their own dtype',

  attention_dropout: training,
  attention_probs_dropout_prob: training,
  classifier_dropout: training,
  dropout: training,
  embd_pdrop: training,
  gradient_checkpointing: training,
  hidden_dropout: training,
  hidden_dropout_prob: training,
  initializer_factor: training,
  initializer_range: training,
  problem_type: training,
  resid_pdrop: training,
  tf_legacy_loss: training,

  output_attentions: output,
  output_hidden_states: output,
  output_past: output,
  output_scores: output,
  return_dict: output,
  return_dict_in_generate: output,
  torchscript: output,
  use_cache: output,

  bad_words_ids: generation,
  begin_suppress_tokens: generation,
  diversity_penalty: generation,
  do_sample: generation,
  early_stopping: generation,
  encoder_no_repeat_ngram_size: generation,
  exponential_decay_length_penalty: generation,
  forced_bos_token_id: generation,
  forced_eos_token_id: generation,
  length_penalty: generation,
  max_length: generation,
  min_length: generation,
  no_repeat_ngram_size: generation,
  num_beam_groups: generation,
  num_beams: generation,
  num_return_sequences: generation,
  prefix: generation,
  remove_invalid_values: generation,
  repetition_penalty: generation,
  suppress_tokens: generation,
  temperature: generation,
  top_k: generation,
  top_p: generation,
  typical_p: generation,

  bos_token_id: special,
  cls_token_id: special,
  decoder_start_token_id: special,
  eos_token_id: special,
  sep_token_id: special,
  tokenizer_class: special,

  _attn_implementation: kernels,
  _attn_implementation_autoset: kernels,
  _attn_implementation_internal: kernels,
  attn_implementation: kernels,
  chunk_size_feed_forward: kernels,

  label2id: labels,
  sentence_transformers: 'activation of a wrapper library; the API returns the raw logit',
};
