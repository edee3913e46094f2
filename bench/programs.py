"""The programs that bench/run measures: moge, llama.cpp, PyTorch, oneDNN, OpenBLAS."""

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

TRIES = 3  # a bench refuses its own figures when the machine was busy while it measured a limit


def say(text):
    print(text, file=sys.stderr, flush=True)


def stolen_seconds():
    """Time that the host gave to others while something here wanted to run."""
    fields = Path("/proc/stat").read_text().splitlines()[0].split()
    return int(fields[8]) / os.sysconf("SC_CLK_TCK")


def run_json(command, what, environment=None, tries=1):
    """The last JSON object that a command prints, with the seconds that the host took away
    meanwhile; None, with its last words said, if it fails."""
    say(f"-- {what}")
    for _ in range(tries):
        stolen = stolen_seconds()
        done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, env=environment)
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        if done.returncode == 0 and lines:
            return {**json.loads(lines[-1]), "stolen_s": round(stolen_seconds() - stolen, 2)}
        say(f"   failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
    return None


def free_port():
    import socket
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Moge:
    def __init__(self, program, threads):
        self.program, self.threads = program, ["--threads", threads]

    def json(self, what, *words):
        command = [self.program, *words, "--output", "json", "--quiet", *self.threads]
        return run_json(command, f"moge, {what}", tries=TRIES)

    def serve_command(self, model, format, port, streams, context):
        return [self.program, "serve", model, "--format", format, "--port", port,
                "--max-num-seqs", streams, "--max-model-len", context, "--quiet", *self.threads]


class LlamaCpp:
    """../shared/tools/peer_llamacpp: builds it, writes models, measures."""

    def __init__(self, tool, threads):
        self.tool, self.threads = tool, ["--threads", threads]
        self.cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "moge-peers"

    def build(self):
        return run_json([self.tool, "build", "--json"], "llama.cpp, building it once")

    def write_model(self, shape, type):
        """Where `bench` looks for it too, so that it is written once."""
        path = self.cache / "llamacpp" / "models" / f"{shape}-{type}-seed0.gguf"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            run_json([self.tool, "gguf", "--shape", shape, "--type", type, "--out", path, "--json",
                      *self.threads], f"llama.cpp, writing {shape} {type}")
        return path if path.exists() else None

    def bench(self, shape, type, what, *words):
        if not self.write_model(shape, type):
            return None
        return run_json([self.tool, "bench", "--shape", shape, "--type", type, "--json", "--reps",
                         5, *words, *self.threads], f"llama.cpp, {shape} {type}, {what}")

    def serve_command(self, path, port, streams, context):
        program = Path(self.build()["bin"]) / "llama-server"
        return [program, "-m", path, "--port", port, "-np", streams, "-c", streams * context,
                "-t", self.threads[1], "-tb", self.threads[1], "--log-disable"]

    def drop(self, shape, type):
        (self.cache / "llamacpp" / "models" / f"{shape}-{type}-seed0.gguf").unlink(missing_ok=True)

    def clean(self):
        run_quietly([self.tool, "clean", "--models"])


class Torch:
    """bench/peer_torch.py in a Python environment of its own, kept running between jobs."""

    def __init__(self, threads):
        self.threads, self.process, self.version = threads, None, ""
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        self.folder = cache / "moge" / "venvs" / "torch"

    def prepare(self):
        python = self.folder / "bin" / "python"
        if run_quietly([python, "-c", "import torch, numpy"]):
            return True
        say("-- PyTorch into a throw-away environment")
        return (run_quietly([sys.executable, "-m", "venv", self.folder])
                and run_quietly([python, "-m", "pip", "install", "-q", "torch", "numpy"]))

    def ask(self, what, **job):
        if self.process is None:
            self.start()
        say(f"-- PyTorch, {what}")
        self.process.stdin.write(json.dumps({**job, "threads": self.threads}) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline() or '{"error": "it ended"}')
        if "error" in answer:
            say(f"   failed: {answer['error']}")
            return None
        return answer

    def start(self):
        script = Path(__file__).with_name("peer_torch.py")
        self.process = subprocess.Popen([self.folder / "bin" / "python", script], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.version = json.loads(self.process.stdout.readline())["torch"]

    def stop(self):
        if self.process is not None:
            self.process.stdin.close()
            self.process.wait()
            self.process = None


class Library:
    """build/release/peer_onednn or peer_openblas."""

    def __init__(self, program, threads):
        self.program = program
        self.environment = {**os.environ, "OMP_NUM_THREADS": str(threads),
                            "OPENBLAS_NUM_THREADS": str(threads)}
        for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):  # it chooses its kernels itself
            self.environment.pop(name, None)

    def products(self, what, format, shapes, rows, experts, active):
        return run_json([self.program, "--format", format, "--shapes", ",".join(shapes), "--rows",
                         ",".join(map(str, rows)), "--experts", experts, "--active", active],
                        f"{self.program.name}, {what}", self.environment)


class Server:
    """A server's process; ready once /health answers."""

    def __init__(self, command, port, what):
        say(f"-- {what}: starting the server")
        self.url = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen([str(word) for word in command],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def wait(self, seconds=300):
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.process.poll() is None:
            try:
                with urllib.request.urlopen(self.url + "/health", timeout=2):
                    return True
            except OSError:
                time.sleep(0.3)
        return False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def run_quietly(command):
    try:
        return subprocess.run([str(word) for word in command], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL).returncode == 0
    except OSError:
        return False


def available_gib(folder):
    """Memory and disk."""
    memory = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    return int(memory["MemAvailable"].split()[0]) / 2**20, shutil.disk_usage(folder).free / 2**30
