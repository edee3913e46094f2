# Shared by the scripts of this folder: Python environments, a scratch folder, a server to talk to.
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
moge=${MOGE:-$PWD/build/release/moge}
scratch=$(mktemp -d)
server=
stop_server() {
  [ -z "$server" ] || { kill "$server" && wait "$server"; } 2> /dev/null || true
  server=
}
trap 'stop_server; rm -rf "$scratch"' EXIT

skip() { echo "skipped: $*"; exit 77; }
[ -x "$moge" ] || skip "there is no $moge"

venv() {  # NAME PACKAGES...: makes the environment once; sets $python
  local folder=${XDG_CACHE_HOME:-$HOME/.cache}/moge/venvs/$1
  shift
  python=$folder/bin/python
  [ "$(cat "$folder/moge_packages" 2> /dev/null)" != "$*" ] || return 0
  python3 -m venv "$folder" > /dev/null 2>&1 || skip "python3 cannot make an environment"
  "$python" -m pip install -q "$@" > "$scratch/pip.log" 2>&1 ||
    skip "pip cannot install $*: $(tail -1 "$scratch/pip.log")"
  echo "$*" > "$folder/moge_packages"
}

torch_venv() {  # what several scripts need; torch is large
  local free_gb
  free_gb=$(df -BG --output=avail "$HOME" | tail -1 | tr -dc 0-9)
  [ "$free_gb" -ge 6 ] || skip "torch wants 6 GB of disk, $free_gb are free"
  venv torch 'torch>=2.10,<3' 'transformers>=5,<6' 'safetensors<1' 'compressed-tensors<1'
}

small_model() {  # STEPS: trains $scratch/model, with a tokenizer and a chat template
  "$moge" data generate --out "$scratch/text.jsonl" --bytes 400000 --seed 1 --quiet > /dev/null
  "$moge" tokenizer train --input "$scratch/text.jsonl" --vocab-size 512 --quiet \
    --chat-template presets/demo_chat.jinja --out "$scratch/tokenizer" > /dev/null
  "$moge" train --model preset:tiny --tokenizer-model "$scratch/tokenizer" --quiet \
    --train-data-path "$scratch/text.jsonl" --save "$scratch/model" --train-iters "$1" \
    --seq-length 64 --micro-batch-size 4 --global-batch-size 4 --lr 6e-3 --seed 1 > /dev/null
}

serve() {  # MODEL [options]: starts it on a free port; sets $server (its pid) and $url
  "$moge" serve "$1" --port 0 "${@:2}" 2> "$scratch/serve.log" > "$scratch/serve.out" &
  server=$!
  for _ in $(seq 3000); do  # a large model takes minutes to load
    url=$(grep -ohE 'https?://127\.0\.0\.1:[0-9]+' "$scratch"/serve.{log,out} | head -1) || true
    [ -z "$url" ] || return 0
    kill -0 "$server" 2> /dev/null || break
    sleep 0.1
  done
  cat "$scratch/serve.log"
  return 1
}
