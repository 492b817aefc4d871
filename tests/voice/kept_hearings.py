"""What the recogniser once heard, kept as data: CI guards understanding without listening for minutes.

`python -m tests.voice.kept_hearings LABELS.tsv KEPT.json OUT.jsonl` makes a table anew; KEPT.json is what
`flask --app wsgi voice evaluate LABELS.tsv --heard KEPT.json` wrote. See data/PROVENANCE.md.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from app.cli.voice_evaluation import read_labels
from app.ports import Hypothesis

DATA = Path(__file__).parent / "data"


def labels_and_heard(name: str) -> tuple[list[dict[str, str]], list[tuple[Hypothesis, ...]]]:
    """The rows (file, text, intent?, slot?, variant) of heard_<name>.jsonl, and the hypotheses of each."""
    rows = [json.loads(line) for line in (DATA / f"heard_{name}.jsonl").read_text("utf-8").splitlines()]
    heard = [tuple(Hypothesis(*one) for one in row.pop("heard")) for row in rows]
    return rows, heard


def compact(labels: Path, kept: Path, out: Path) -> None:
    """One line a recording. Without intents (nobody meant a command) its text is only the file's name."""
    stored = json.loads(kept.read_text("utf-8"))
    with out.open("w", encoding="utf-8") as file:
        for row in read_labels(labels):
            line = {"file": row["file"], "text": row["text"] if "intent" in row else Path(row["file"]).stem}
            line |= {name: row[name] for name in ("intent", "slot") if name in row}
            line["variant"] = row.get("variant") or row.get("voice") or row["language"]
            heard = [
                [one["text"], round(one["score"], 3), *([] if one["source"] == "free" else [one["source"]])]
                for one in stored[row["file"]]
            ]
            file.write(json.dumps(line | {"heard": heard}, ensure_ascii=False, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    compact(*map(Path, sys.argv[1:4]))
