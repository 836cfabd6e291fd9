"""Scores of tasks beside lm-evaluation-harness: the same prompts, the same scores.

    pip install lm-eval==0.4.13
    python bench/metrics/lm_eval_compare.py target/release/plumb MODEL

Runs a few tasks with plumb, which writes down every question and answer, then runs
the harness on the same task files with a model that answers from that record. A
prompt that differs by a byte has no answer there and fails the comparison; the
scores must then be equal.
"""

import json
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import yaml
from lm_eval import simple_evaluate
from lm_eval.api.model import LM
from lm_eval.tasks import TaskManager

PLUMB, MODEL = sys.argv[1], sys.argv[2]
TASKS = Path(__file__).parent / "tasks"


class Recorded(LM):
    """Answers from the record of a run, and nothing else."""

    def __init__(self, folder: Path):
        super().__init__()
        self.pairs, self.texts, self.generated = {}, {}, {}
        for line in (folder / "run.jsonl").read_text().splitlines():
            item = json.loads(line).get("item")
            if item is None:
                continue
            detail = item["detail"]
            for one in detail.get("requests", []):
                key = one["context"], one["continuation"]
                self.pairs[key] = one["log_likelihood"], one["is_greedy"]
            if "text" in detail:
                self.texts[detail["text"]] = detail["log_likelihood"]
            if "responses" in detail:
                self.generated[detail["context"]] = detail["responses"][0]

    def loglikelihood(self, requests):
        return [self.pairs[request.args] for request in requests]

    def loglikelihood_rolling(self, requests):
        return [self.texts[request.args[0]] for request in requests]

    def generate_until(self, requests):
        return [self.generated[request.args[0]] for request in requests]


def harness_task(path: Path) -> dict:
    """The task with paths that do not depend on the folder."""
    task = yaml.safe_load(path.read_text())
    files = task["dataset_kwargs"]["data_files"]
    task["dataset_kwargs"]["data_files"] = {k: str(path.parent / v) for k, v in files.items()}
    return task


def compare(path: Path, shots: int) -> int:
    folder = Path(tempfile.mkdtemp()) / "run"
    command = [PLUMB, "eval", "lm", MODEL, "--task", path, "--num-fewshot", str(shots)]
    command += ["--save", folder, "--json", "--resamples", "99"]
    ours = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    found = simple_evaluate(
        Recorded(folder),
        tasks=[harness_task(path)],
        num_fewshot=shots,
        bootstrap_iters=0,
        fewshot_random_seed=1234,
        task_manager=TaskManager(include_defaults=False),
        verbosity="ERROR",
    )
    (theirs,) = found["results"].values()
    wrong = 0
    for name, result in ours.items():
        if "value" not in result:
            continue
        key = name if "," in name else f"{name},none"
        apart = abs(result["value"] - theirs[key])
        wrong += apart > 1e-9
        print(f"{path.stem:24} {shots} shots {name:28} {result['value']:.6f} {theirs[key]:.6f}")
    return wrong


def main() -> None:
    print(f"lm-eval {version('lm_eval')}; task, measure, plumb, harness")
    wrong = 0
    for path in sorted(TASKS.glob("*.yaml")):
        shots = (0,) if "perplexity" in path.stem or "likelihood" in path.stem else (0, 3)
        wrong += sum(compare(path, one) for one in shots)
    print("all equal" if wrong == 0 else f"{wrong} scores differ")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
