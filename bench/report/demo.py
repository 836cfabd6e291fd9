"""The page of the demo project: everything about it that can be measured, in one command.

    python3 bench/report/demo.py --plumb target/release/plumb --bench target/release/plumb-bench
        --folder demo-report [--quick]

Makes the demo project in FOLDER/project, measures it into FOLDER/results and writes
FOLDER/report.html. What has a result there already is not measured again, so that a
run that was broken off goes on. It takes about an hour on two cores, with --quick
(a tenth of the attacks, 40 replays) some minutes.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).resolve().parents[1]
QUESTION = "What is quantization in the context of embeddings?"


class Demo:
    def __init__(self, flags):
        self.plumb, self.bench = flags.plumb.resolve(), flags.bench.resolve()
        self.quick = flags.quick
        self.project = flags.folder.resolve() / "project"
        self.results = flags.folder.resolve() / "results"
        self.results.mkdir(parents=True, exist_ok=True)

    def run(self, *words, accepts=(0,), folder=None):
        command = [str(word) for word in words]
        done = subprocess.run(command, cwd=folder or self.project, capture_output=True, text=True)
        if done.returncode not in accepts:
            sys.exit(f"`{' '.join(command)}` failed with {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def step(self, name, measure):
        """Measures what has no result yet."""
        place = self.results / f"{name}.json"
        if place.exists():
            print(f"{name}: already there")
            return
        print(f"{name}: measuring", flush=True)
        found = measure()
        if found is not None:
            place.write_text(json.dumps(found) + "\n", "utf-8")

    def suite(self, *words):
        self.run(self.bench, *words, "--plumb", self.plumb, "--out", self.results)

    def verified(self, what, answer):
        text = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
        place = self.project / "answer.json"
        place.write_text(text, "utf-8")
        # 4 is what an answer gets that does not verify.
        found = json.loads(self.run(self.plumb, "verify", place, "--json", accepts=(0, 4)))
        faults = found["faults"] + [fault for claim in found["claims"] for fault in claim["faults"]]
        return {"what": what, "verified": found["verified"], "faults": faults[:3]}

    def answer(self):
        text = self.run(self.plumb, "ask", "--json", QUESTION)
        answer = json.loads(text)
        claim = answer["claims"][0]["text"]
        swapped = claim.replace(" is ", " is not ", 1) if " is " in claim else f"not {claim}"
        edited = json.loads(text.replace(claim, swapped))
        return {
            "answer": answer,
            "checks": [
                self.verified("the answer as it was given", text),
                self.verified(f"with another sentence: {swapped}", edited),
            ],
        }

    def rag(self):
        made = json.loads(self.run(self.plumb, "eval", "make", "--json"))
        found = json.loads(self.run(self.plumb, "eval", "rag", "--json"))
        about = f"{made['answerable']} questions with an answer and {made['unanswerable']} without"
        return {"measures": found["measures"], "about": about}

    def calibration(self):
        scores = self.results.parent / "scores.json"
        # 1 says that the bound could not be certified; the scores are there all the same.
        command = (self.plumb, "calibrate", "--questions", BENCH / "questions.jsonl", "--max-error", 0.1, "--json")
        scores.write_text(self.run(*command, accepts=(0, 1)), "utf-8")
        self.run(sys.executable, BENCH / "answers" / "splits.py", scores, "--name", "handbook", "--out", self.results)

    def planted(self):
        answers = self.results.parent / "answers.jsonl"
        self.suite("planted", "--project", self.project, "--answers", answers, "--quote-only", "--name", "planted-handbook")

    def replay(self, name, count, *flags):
        count = 40 if self.quick else count
        self.suite("replay", "--project", self.project, "--count", count, "--name", name, *flags)

    def attacks(self):
        self.suite("injection", "--every", 10 if self.quick else 1)

    def all(self):
        if not (self.project / ".plumb").exists():
            print("project: making the demo", flush=True)
            self.run(self.plumb, "demo", "--folder", self.project, folder=self.results.parent)
        self.step("answer", self.answer)
        self.step("rag", self.rag)
        self.step("calibration-handbook", self.calibration)
        self.step("planted-handbook", self.planted)
        self.step("replay", lambda: self.replay("replay", 700, "--quote-only"))
        self.step("injection", self.attacks)
        page = BENCH / "report" / "page.py"
        out = self.results.parent / "report.html"
        print(self.run(sys.executable, page, "--results", self.results, "--title", "The demo project: what was measured", "--out", out).strip())


def main():
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--plumb", type=Path, required=True)
    flags.add_argument("--bench", type=Path, required=True)
    flags.add_argument("--folder", type=Path, required=True)
    flags.add_argument("--quick", action="store_true")
    Demo(flags.parse_args()).all()


main()
