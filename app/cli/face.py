"""`flask --app wsgi face verify` and `face quality`: what the face engine makes of pictures.

Stills cannot show that anybody is there: liveness is checked by the service, on frames, and never here.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from app.errors import AppError
from app.ports import FaceDecision, FaceQuality, FaceTemplate, OutsideError

if TYPE_CHECKING:
    from app.providers.face_engine import FaceEngine

_FILE = click.Path(dir_okay=False, path_type=Path)
_AS_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON line a picture on standard output.")


@click.group("face")
def group() -> None:
    """Try face quality and comparison on pictures. Nothing is kept."""


def _engine() -> FaceEngine:
    """The models, loaded into this process: seconds. click.ClickException when they do not load."""
    from app.providers.face_engine import FaceEngine
    from app.providers.face_models import FaceModels

    try:
        models = FaceModels()
    except OutsideError as fault:
        raise click.ClickException(fault.detail or fault.code) from fault
    models.warm()
    return FaceEngine(models)


@group.command("quality")
@click.argument("files", nargs=-1, required=True, type=_FILE)
@_AS_JSON
def quality(files: Sequence[Path], as_json: bool) -> None:
    """Whether each picture will do, and if not, why. Exit 1 when a file could not be read."""
    engine, unread, lines = _engine(), False, []
    for path in files:
        started = time.process_time()
        try:
            found = _quality(engine, path.read_bytes())
        except OSError as fault:
            click.echo(f"{path}: {fault.strerror}", err=True)
            unread = True
            continue
        line = {"file": str(path), **_told(found), "cpu_seconds": round(time.process_time() - started, 4)}
        lines.append(line)
        if as_json:
            click.echo(json.dumps(line))
    if not as_json:
        _show_quality(lines)
    if unread:
        sys.exit(1)


@group.command("verify")
@click.option("--enrol", nargs=3, required=True, type=_FILE, help="Three photos of one person.")
@click.option("--probe", "probes", multiple=True, type=_FILE, help="Compared with them; may be repeated.")
@click.argument("more", nargs=-1, type=_FILE)
@_AS_JSON
def verify(
    enrol: tuple[Path, Path, Path], probes: Sequence[Path], more: Sequence[Path], as_json: bool
) -> None:
    """Compare stills: --enrol A B C --probe D [E…]. Liveness is NOT checked. Exit 1 when the three photos
    cannot be enrolled or a file cannot be read."""
    if not (probes or more):
        raise click.UsageError("name a picture with --probe")
    engine = _engine()
    try:
        template = engine.enrol_stills([path.read_bytes() for path in enrol])
        lines = [_compared(engine, template, path) for path in (*probes, *more)]
    except AppError as fault:
        raise click.ClickException(f"the three photos cannot be enrolled: {fault.code}") from fault
    except OSError as fault:
        raise click.ClickException(f"{fault.filename}: {fault.strerror}") from fault
    if as_json:
        for line in lines:
            click.echo(json.dumps(line))
    else:
        _show_verdicts(lines)
        click.echo("Liveness was not checked: these are stills.")


def _compared(engine: FaceEngine, template: FaceTemplate, path: Path) -> dict[str, Any]:
    image, started = path.read_bytes(), time.process_time()
    reasons: tuple[str, ...]
    try:
        verdict, seen = engine.compare_still(template, image)
    except AppError as fault:
        seen = FaceQuality(False, _short(fault), {})
        decision, apart, reasons = FaceDecision.RETRY, None, (_short(fault),)
    else:
        decision, apart, reasons = verdict.decision, verdict.distance, verdict.reasons
    return {
        "decision": decision.value,
        "distance": apart,
        "quality": _told(seen),
        "reasons": list(reasons),
        "cpu_seconds": round(time.process_time() - started, 4),
        "probe": str(path),
        "liveness": "not_checked",
    }


def _quality(engine: FaceEngine, image: bytes) -> FaceQuality:
    """A file that is no picture of ours has a reason as well."""
    try:
        return engine.quality(image)
    except AppError as fault:
        return FaceQuality(False, _short(fault), {})


def _short(fault: AppError) -> str:
    return fault.code.removeprefix("face_")


def _told(found: FaceQuality) -> dict[str, Any]:
    return {"ok": found.ok, "reason": found.reason, "figures": dict(found.figures)}


def _show_quality(lines: Sequence[dict[str, Any]]) -> None:
    table = Table("file", "will do", "reason", "grey", "sharpness", "turn")
    for line in lines:
        figures = [f"{line['figures'].get(name, 0):.2f}" for name in ("grey", "sharpness", "turn")]
        table.add_row(Path(line["file"]).name, "yes" if line["ok"] else "no", line["reason"] or "", *figures)
    Console().print(table)


def _show_verdicts(lines: Sequence[dict[str, Any]]) -> None:
    table = Table("probe", "decision", "distance", "reasons", "CPU s")
    for line in lines:
        apart = "" if line["distance"] is None else f"{line['distance']:.3f}"
        reasons = ", ".join(line["reasons"])
        name = Path(line["probe"]).name
        table.add_row(name, line["decision"], apart, reasons, f"{line['cpu_seconds']:.2f}")
    Console().print(table)
