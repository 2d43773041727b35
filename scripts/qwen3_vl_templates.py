"""The chat templates of weights/tiny-qwen3-vl-reranker, written for it."""

from qwen3_vl_requests import DEFAULT

ROLES = """\
{#- A query and a document in roles of their own, an instruction as the system's. -#}
{%- macro write(message) -%}
  {%- if message.content is string -%}
    {{- message.content -}}
  {%- else -%}
    {%- for part in message.content -%}
      {%- if part.type == "image" -%}
        {{- "<|vision_start|><|image_pad|><|vision_end|>" -}}
      {%- elif part.type == "video" -%}
        {{- "<|vision_start|><|video_pad|><|vision_end|>" -}}
      {%- else -%}
        {{- part.text -}}
      {%- endif -%}
    {%- endfor -%}
  {%- endif -%}
{%- endmacro -%}
{%- set told = messages | selectattr("role", "eq", "system") | list -%}
{{- "<|im_start|>system\\n" -}}
{{- 'Judge whether the Document meets the requirements based on the Query and the Instruct provided. Note that the answer can only be "yes" or "no".' -}}
{{- "<|im_end|>\\n<|im_start|>user\\n<Instruct>: " -}}
{%- if told -%}
  {{- write(told[0]) -}}
{%- else -%}
  {{- "%DEFAULT%" -}}
{%- endif -%}
{{- "<Query>:" -}}
{%- for message in messages if message.role == "query" -%}
  {{- write(message) -}}
{%- endfor -%}
{{- "\\n<Document>:" -}}
{%- for message in messages if message.role == "document" -%}
  {{- write(message) -}}
{%- endfor -%}
{{- "<|im_end|>\\n" -}}
{%- if add_generation_prompt -%}
  {{- "<|im_start|>assistant\\n" -}}
{%- endif -%}
""".replace("%DEFAULT%", DEFAULT)

CONVERSATION = """\
{%- for message in messages -%}
  {{- "<|im_start|>" + message.role + "\\n" -}}
  {%- if message.content is string -%}
    {{- message.content -}}
  {%- else -%}
    {%- for part in message.content -%}
      {%- if part.type == "image" or "image_url" in part -%}
        {{- "<|vision_start|><|image_pad|><|vision_end|>" -}}
      {%- elif part.type == "video" -%}
        {{- "<|vision_start|><|video_pad|><|vision_end|>" -}}
      {%- else -%}
        {{- part.text -}}
      {%- endif -%}
    {%- endfor -%}
  {%- endif -%}
  {{- "<|im_end|>\\n" -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
  {{- "<|im_start|>assistant\\n" -}}
{%- endif -%}
"""
