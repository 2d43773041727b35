#!/bin/sh
# Texts alone: the same request as for a model that reads text only.
# usage: examples/qwen3-vl/text.sh [base URL], with a server started by
#   node dist/cli.js serve --model-path tiny-qwen3-vl-reranker --media-root examples/media
curl --fail-with-body --silent --show-error "${1:-http://127.0.0.1:30000}/v1/rerank" \
  --header 'Content-Type: application/json' \
  --data '{
    "query": "What is machine learning?",
    "instruct": "Retrieve passages that answer the question.",
    "documents": [
      "Machine learning is a field of study in artificial intelligence.",
      "Paris is the capital of France.",
      "Deep learning uses networks of many layers."
    ]
  }'
echo
