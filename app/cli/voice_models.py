"""`flask --app wsgi voice-models list | install NAME | verify`: the speech models on this machine."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from app.providers.model_manifest import ModelFault
from app.providers.voice_models import Report, VoiceModels, models_dir_default

_AS_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")


@click.group("voice-models")
@click.option(
    "--models-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=None,
    help="Where models live. Default: ANXIN_VOICE_MODELS, else voice_models/ in the repository.",
)
@click.pass_context
def group(context: click.Context, models_dir: Path | None) -> None:
    """Speech models: what there is, fetching one, checking them."""
    try:
        context.obj = VoiceModels(models_dir or models_dir_default())
    except ModelFault as fault:
        raise click.ClickException(str(fault)) from fault


@group.command("list")
@_AS_JSON
@click.pass_obj
def list_models(models: VoiceModels, as_json: bool) -> None:
    """Every model of the manifest and whether it is installed."""
    rows = [_described(models, models.state(name)) for name in models.models]
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False, indent=1))
        return
    table = Table("name", "state", "engine", "languages", "to fetch")
    for row in rows:
        size = f"{row['fetch_bytes'] / 1e6:,.0f} MB" if row["fetch_bytes"] else "?"
        table.add_row(row["name"], row["state"], row["engine"], ", ".join(row["languages"]), size)
    Console().print(table)
    for row in rows:
        click.echo(f"{row['name']}: {row['licence']}. {row['note']}")


@group.command("install")
@click.argument("name")
@click.option("--from", "source", help="A folder, an archive or an http(s) address instead of the usual one.")
@click.option("--sha256", help="What the archive must hash to.")
@click.option("--again", is_flag=True, help="Replace the model even when it is installed and verified.")
@_AS_JSON
@click.pass_obj
def install(
    models: VoiceModels, name: str, source: str | None, sha256: str | None, again: bool, as_json: bool
) -> None:
    """Fetch, verify and install one model. When its usual source is out of reach, see --from."""

    def work(advance: Callable[[int], None]) -> Report:
        return models.install(name, source, sha256, advance, again=again)

    try:
        total = models.size_to_fetch(name) if source is None else 0
        report = _with_bar(f"installing {name}", total, work)
    except ModelFault as fault:
        _fail(fault, as_json)
    _tell(models, [report], as_json)


@group.command("verify")
@click.argument("names", nargs=-1)
@_AS_JSON
@click.pass_obj
def verify(models: VoiceModels, names: tuple[str, ...], as_json: bool) -> None:
    """Hash installed models against the manifest. Exit 1 when one is faulty or a named one missing."""
    try:
        wanted = names or tuple(name for name in models.models if models.state(name).state != "missing")
        reports = [
            _with_bar(f"verifying {name}", models.model(name).bytes or 0, _verifier(models, name))
            for name in wanted
        ]
    except ModelFault as fault:
        _fail(fault, as_json)
    _tell(models, reports, as_json)
    if any(report.state != "verified" for report in reports):
        raise SystemExit(1)


def _verifier(models: VoiceModels, name: str) -> Callable[[Callable[[int], None]], Report]:
    return lambda advance: models.verify(name, advance)


def _with_bar(title: str, total: int, work: Callable[[Callable[[int], None]], Report]) -> Report:
    """The bar goes to standard error, so that --json stays clean; it is drawn on terminals only."""
    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(title, total=total or None)
        report = work(lambda count: progress.advance(task, count))
        progress.update(task, total=total or 1, completed=total or 1)
    return report


def _described(models: VoiceModels, report: Report) -> dict[str, Any]:
    model = models.model(report.name)
    return {
        "name": model.name,
        "state": report.state,
        "faults": list(report.faults),
        "path": str(report.path),
        "engine": model.engine,
        "languages": list(model.languages),
        "dialects": list(model.dialects),
        "licence": model.licence,
        "fetch_bytes": models.size_to_fetch(model.name) or None,
        "checksum": "pinned" if model.files or model.source.sha256 else "recorded on first download",
        "note": model.note,
    }


def _tell(models: VoiceModels, reports: list[Report], as_json: bool) -> None:
    if as_json:
        rows = [_described(models, report) for report in reports]
        click.echo(json.dumps(rows, ensure_ascii=False, indent=1))
        return
    if not reports:
        click.echo("no model is installed: flask --app wsgi voice-models install whisper-base")
    for report in reports:
        click.echo(f"{report.name}: {report.state}: {report.path}")
        for fault in report.faults:
            click.echo(f"  {fault}")


def _fail(fault: ModelFault, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"error": str(fault)}, ensure_ascii=False))
        raise SystemExit(1)
    raise click.ClickException(str(fault))
