"""An audit: a data set and scores give suspects as a CSV, and a page of what was found."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from earmark.audit.audit_figures import (
    duplicates_table,
    noise_chart,
    noise_table,
    overview,
    suspects_figure,
)
from earmark.audit.audited import Audited, audited_labels, check_layer
from earmark.audit.listening import MOST_CLIPS, clips_to_hear
from earmark.audit.near_duplicates import RATE_HZ, NearDuplicates, near_duplicates
from earmark.audit.noise import Noise, Share, estimate_noise
from earmark.audit.suspects import KINDS, Suspects, find_suspects
from earmark.audit.suspects_table import refuse_verdicts, suspects_table, write_suspects
from earmark.audit.suspicion import Odds, fit_odds
from earmark.data.dataset import Dataset
from earmark.data.ontology import Ontology
from earmark.data.packs import open_pack
from earmark.errors import InputError, counted, first_few
from earmark.reports.figures_page import Section, write_figures_page
from earmark.scores.store import ScoreStore

PAGE, SUSPECTS, SCORES = "audit.html", "suspects.csv", "scores"
OURS = {PAGE, "audit.json", "audit.md", "audit-figures", SUSPECTS, SCORES}


@dataclass(frozen=True, eq=False)
class Audit:
    """What an audit found, and where it lies."""

    audited: Audited
    noise: Noise
    odds: Odds
    suspects: Suspects
    duplicates: NearDuplicates | None
    folder: Path

    def lines(self) -> list[str]:
        """A table of name and number for a terminal."""
        noise, rows = self.noise, [("labels", str(self.audited.num_labels), f"of {len(self.audited.rows)} clips")]
        rows.append(("wrong", _percent(noise.all_wrong), "of the labels, estimated"))
        rows.append(("missing", _percent(noise.all_missing), "of the true ones, estimated"))
        counts = ", ".join(f"{self.suspects.count(place)} {kind}" for place, kind in enumerate(KINDS))
        rows.append(("suspects", str(len(self.suspects)), counts))
        if self.duplicates is not None:
            pairs = len(self.duplicates.first)
            rows.append(("the same", str(pairs), "pairs of clips that are the same sound with different labels"))
        width = max(len(value) for _, value, _ in rows)
        return [f"{name:<9}  {value:>{width}}  {remark}".rstrip() for name, value, remark in rows]


def check_audit(dataset: Dataset, layer: str, out: Path) -> None:
    """Raises InputError unless there is a layer to audit and a folder for it, new or of an audit without verdicts.

    To be asked before models are trained.
    """
    check_layer(dataset, layer)
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: must be a folder, found a file; name another")
    inside = [path.name for path in out.iterdir()] if out.is_dir() else []
    strange = sorted(name for name in inside if name not in OURS and ".part" not in name)
    if strange:
        raise InputError(f"{out}: must be a new or an empty folder, it holds {first_few(strange)}; name another")
    refuse_verdicts(out / SUSPECTS)


def audit_dataset(
    dataset: Dataset,
    store: ScoreStore,
    out: Path,
    *,
    layer: str,
    ontology: Ontology,
    least: float = 0.5,
    compares_sounds: bool = True,
    workers: int | None = None,
) -> Audit:
    """Writes the suspects and the page of an audit into a folder.

    Args:
        store: scores of whole clips by models that never saw them.
        layer: whose labels are audited.
        least: the probability of an error from which a label is suspect.
        compares_sounds: looks for clips that are the same sound with different labels.
        workers: threads that decode.

    Raises:
        InputError: the scores do not fit, nothing can be judged, or the folder holds verdicts or something else.
    """
    check_audit(dataset, layer, out)
    audited = audited_labels(dataset, store, layer, ontology)
    noise = estimate_noise(audited.given, audited.judged, audited.scores, audited.groups)
    odds = fit_odds(audited.given, audited.judged, audited.scores, noise.wrong_rate, noise.missing_rate)
    suspects = find_suspects(audited, odds, least)
    duplicates = _duplicates(audited, workers) if compares_sounds else None
    found = Audit(audited, noise, odds, suspects, duplicates, out)
    table = suspects_table(suspects, audited)
    write_figures_page(
        out / PAGE,
        kicker="Label audit",
        title=dataset.name,
        lede=_lede(audited, store),
        sections=_sections(found, table),
    )
    # Last: where the CSV is, the audit is whole.
    write_suspects(out / SUSPECTS, table)
    return found


def _duplicates(audited: Audited, workers: int | None) -> NearDuplicates:
    pack = open_pack(audited.dataset, RATE_HZ, workers=workers)
    recordings = audited.dataset.column("path")[audited.rows].tolist()
    return near_duplicates(pack, audited.rows, audited.given, recordings)


def _lede(audited: Audited, store: ScoreStore) -> str:
    by = (
        "models that never saw the clip" if store.about.get("out_of_fold") else "a model that was trained on such clips"
    )
    clips = counted(len(audited.rows), "clip")
    return f"What scores by {by} say of {audited.num_labels} labels of {clips}: suspects, not verdicts."


def _sections(found: Audit, table: pa.Table) -> list[Section]:
    """The parts of the page."""
    audited, noise, odds, suspects = found.audited, found.noise, found.odds, found.suspects
    heard, unread = clips_to_hear(suspects, audited)
    chart = noise_chart(audited, noise)
    by_tag = [("noise-by-tag", noise_table(audited, noise, odds, suspects))]
    return [
        Section("In short", [("overview", overview(audited, noise, odds, suspects, found.duplicates))]),
        Section(
            "Listen",
            heard,
            words=f"The clips with the most suspect labels, the most suspect first, at most {MOST_CLIPS}.",
            lines=unread if heard or unread else ["No label is suspect."],
        ),
        Section(
            "Suspects",
            [("suspects", suspects_figure(table, SUSPECTS))],
            words=f"In {SUSPECTS}, the column verdict takes keep, remove or add; rows without one change nothing.",
        ),
        Section("Noise by tag", [*([("noise", chart)] if chart else []), *by_tag]),
        *([_same_sounds(audited, found.duplicates)] if found.duplicates is not None else []),
    ]


def _same_sounds(audited: Audited, found: NearDuplicates) -> Section:
    """The part about clips that are the same sound."""
    none = f"None found among {counted(found.compared, 'clip')}."
    table = [("near-duplicates", duplicates_table(audited, found))] if len(found.first) else []
    return Section("The same sound, other labels", table, lines=[] if table else [none])


def _percent(share: Share) -> str:
    value, low, high = (float(part[0]) for part in (share.value, share.low, share.high))
    if np.isnan(value):
        return "not told"
    return f"{100 * value:.1f} %" if np.isnan(low) else f"{100 * value:.1f} % ({100 * low:.1f} to {100 * high:.1f})"
