"""Measured results, one JSON object a line in DIR/raw.jsonl: what an interrupted run had stays."""

import datetime
import json


class Store:
    def __init__(self, path, commit, keep):
        self.path, self.commit = path, commit
        self.lines = []
        if keep and path.exists():
            self.lines = [json.loads(line) for line in path.read_text().splitlines() if line]
        elif path.exists():
            path.unlink()

    def add(self, part, who, key, result):
        """`key`: what was measured, a dict; a failed measurement (None) leaves no line."""
        if result is None:
            return
        line = {"part": part, "who": who, "key": key, "commit": self.commit,
                "date": f"{datetime.datetime.now():%Y-%m-%d %H:%M}", "result": result}
        self.lines.append(line)
        with open(self.path, "a") as file:
            file.write(json.dumps(line) + "\n")

    def results(self, part, who, **key):
        return [line["result"] for line in self.lines
                if line["part"] == part and line["who"] == who
                and all(line["key"].get(name) == value for name, value in key.items())]

    def keys(self, part, *names):
        """Every combination of these key fields, in the order of measuring."""
        found = [tuple(line["key"].get(name) for name in names)
                 for line in self.lines if line["part"] == part]
        return list(dict.fromkeys(found))

    def commits(self):
        return sorted({line["commit"] for line in self.lines})

    def dates(self):
        return sorted({line["date"][:10] for line in self.lines})
