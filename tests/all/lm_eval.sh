#!/usr/bin/env bash
# PyPI's lm_eval asks `moge serve` for log-probabilities (multiple choice) and for texts, over tasks of
# a local file; its log-probabilities are those of /v1/completions by hand.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.bash"
venv lm_eval 'lm_eval[api]>=0.4,<0.5' 'transformers>=5,<6'
small_model 60
serve "$scratch/model" --served-model-name small
curl -s "$url/v1/completions" -d '{"prompt":"Tom has","max_tokens":0,"echo":true,"logprobs":1}' |
  grep -q token_logprobs || skip "this server has no echo"
mkdir "$scratch/tasks"
python3 - "$scratch" << 'PYTHON'
import json, sys
with open(sys.argv[1] + "/tasks/data.jsonl", "w") as out:
    for i in range(12):
        out.write(json.dumps(dict(question=f"Tom has {i} apples and finds {i + 1} more. He has",
                                  choices=[f" {2 * i + 1}", f" {2 * i + 2}"], answer=0)) + "\n")
PYTHON
for task in choice text; do
  cat > "$scratch/tasks/moge_$task.yaml" << YAML
task: moge_$task
dataset_path: json
dataset_kwargs: {data_files: {test: $scratch/tasks/data.jsonl}}
test_split: test
doc_to_text: "{{question}}"
YAML
done
cat >> "$scratch/tasks/moge_choice.yaml" << 'YAML'
output_type: multiple_choice
doc_to_choice: "{{choices}}"
target_delimiter: ""  # the choices begin with their space
doc_to_target: "{{answer}}"
metric_list: [{metric: acc}]
YAML
cat >> "$scratch/tasks/moge_text.yaml" << 'YAML'
output_type: generate_until
doc_to_target: "{{choices[0]}}"
generation_kwargs: {until: ["."], max_gen_toks: 8, do_sample: false}
metric_list: [{metric: exact_match}]
YAML
HF_DATASETS_OFFLINE=1 HF_HUB_OFFLINE=1 HF_HOME=$scratch/hf "$python" -m lm_eval --model local-completions \
  --model_args "base_url=$url/v1/completions,model=small,tokenizer_backend=huggingface,tokenizer=$scratch/tokenizer,num_concurrent=4,max_length=200" \
  --include_path "$scratch/tasks" --tasks moge_choice,moge_text --log_samples --output_path "$scratch/out" \
  > "$scratch/lm_eval.log" 2>&1 || { tail -30 "$scratch/lm_eval.log"; exit 1; }
"$python" tests/tools/check_lm_eval.py "$url" "$scratch/out"
