#!/bin/sh
# Ranks two documents with SGLang's request format; the answer is a bare array, best first.
# usage: examples/rerank.sh [base URL]
curl --fail-with-body --silent --show-error "${1:-http://127.0.0.1:30000}/v1/rerank" \
  --header 'Content-Type: application/json' \
  --data '{
    "query": "what is panda?",
    "documents": [
      "hi",
      "The giant panda (Ailuropoda melanoleuca), sometimes called a panda bear or simply panda, is a bear species endemic to China."
    ],
    "top_n": 1,
    "return_documents": true
  }'
echo
