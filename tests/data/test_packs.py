"""Packs hold what the recordings hold, whatever made them: one worker or many, in one go or after being killed."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from earmark.data import clips as clips_module
from earmark.data import packing, packs, shards
from earmark.data.audio.problems import problem_of
from earmark.data.audio.reading import read_audio
from earmark.data.clips import Excerpts, read_batch, read_excerpts, whole_clips
from earmark.data.packs import Pack, open_pack
from earmark.data.shards import columns_of, plan_shards
from earmark.errors import InputError

RATE_HZ = 8000
SMALL_SHARD = 40_000
REPOSITORY = Path(__file__).parent.parent.parent


@dataclass
class Folder:
    """As much of a data set as packing needs."""

    folder: Path
    clips: pa.Table

    def audio_path(self, row: int) -> Path:
        return self.folder / str(self.clips["path"][row])

    def replaced(self, **columns: list) -> "Folder":
        table = {name: self.clips[name].to_pylist() for name in self.clips.column_names} | columns
        return Folder(self.folder, pa.table(table))


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "SHARD_BYTES", SMALL_SHARD)


def make_dataset(folder: Path, num_clips: int = 12) -> Folder:
    """Clips of half a second to 1.2 s in several codings, with their durations in the table."""
    draw = np.random.default_rng(0)
    names, durations = [], []
    for number in range(num_clips):
        suffix = ("wav", "flac", "ogg")[number % 3]
        rate_hz = (RATE_HZ, 16000, 11025)[number % 3]
        seconds = float(draw.uniform(0.5, 1.2))
        waveform = np.clip(0.1 * draw.standard_normal(round(seconds * rate_hz)), -0.9, 0.9)
        names.append(f"{number}.{suffix}")
        folder.mkdir(exist_ok=True)
        soundfile.write(folder / names[-1], waveform, rate_hz)
        durations.append(len(waveform) / rate_hz)
    columns = {"clip": [f"c{name}" for name in names], "path": names, "duration_s": durations}
    return Folder(folder, pa.table(columns))


@pytest.fixture
def dataset(tmp_path: Path) -> Folder:
    return make_dataset(tmp_path / "set")


def pack_folder(dataset: Folder) -> Path:
    return dataset.folder / "packs" / str(RATE_HZ)


def content_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name != ".lock"}


def times_of(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("shard-*.i16")}


def assert_holds_recordings(pack: Pack, dataset: Folder) -> None:
    for row in range(pack.num_clips):
        expected, _ = read_audio(dataset.audio_path(row), RATE_HZ)
        assert (pack.clip(row) == expected).all()
        assert pack.num_samples[row] == len(expected)


@pytest.mark.usefixtures("small_shards")
def test_a_pack_holds_the_recordings(dataset: Folder) -> None:
    pack = open_pack(dataset, RATE_HZ)
    assert pack.num_clips == 12
    assert pack.num_samples.dtype == np.int64
    assert pack.rate_hz == RATE_HZ
    assert pack.problems == []
    assert len(list(pack_folder(dataset).glob("shard-*.i16"))) > 3
    assert_holds_recordings(pack, dataset)
    assert_holds_recordings(open_pack(dataset, RATE_HZ), dataset)


def test_a_clip_is_a_read_only_view_of_the_file(dataset: Folder) -> None:
    view = open_pack(dataset, RATE_HZ).clip(3)
    assert view.dtype == np.int16
    assert not view.flags.owndata
    with pytest.raises(ValueError, match="read-only"):
        view[0] = 1


@pytest.mark.usefixtures("small_shards")
@pytest.mark.parametrize("workers", [2, 5])
def test_workers_do_not_change_a_byte(tmp_path: Path, workers: int) -> None:
    contents = []
    for name, count in (("one", 1), ("many", workers)):
        dataset = make_dataset(tmp_path / name)
        (dataset.folder / dataset.clips["path"][4].as_py()).unlink()
        open_pack(dataset, RATE_HZ, workers=count)
        contents.append(content_of(pack_folder(dataset)))
    assert contents[0] == contents[1]


@pytest.mark.usefixtures("small_shards")
def test_an_open_pack_is_not_made_again(dataset: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    open_pack(dataset, RATE_HZ)
    before = times_of(pack_folder(dataset))
    monkeypatch.setattr(packs, "pack_shards", lambda *_, **__: pytest.fail("packed again"))
    open_pack(dataset, RATE_HZ)
    open_pack(dataset, RATE_HZ, verify=True)
    # Not even where only the index is lost.
    (pack_folder(dataset) / "index.json").unlink()
    open_pack(dataset, RATE_HZ)
    assert times_of(pack_folder(dataset)) == before


def test_each_rate_has_its_own_pack(dataset: Folder) -> None:
    low, high = open_pack(dataset, 4000), open_pack(dataset, RATE_HZ)
    assert np.abs(high.num_samples - 2 * low.num_samples).max() <= 2
    assert (open_pack(dataset, 4000).clip(2) == low.clip(2)).all()


# Reading


def test_excerpts_are_stretches_of_their_clips(dataset: Folder) -> None:
    pack = open_pack(dataset, RATE_HZ)
    draw = np.random.default_rng(1)
    clip_index = draw.integers(0, 12, 40)
    onsets = draw.integers(0, 3000, 40)
    counts = np.minimum(draw.integers(0, 4000, 40), pack.num_samples[clip_index] - onsets)
    found = list(pack.excerpts(clip_index, onsets, counts))
    for samples, clip, onset, count in zip(found, clip_index, onsets, counts, strict=True):
        expected, _ = read_audio(dataset.audio_path(clip), RATE_HZ)
        assert samples.tolist() == expected[onset : onset + count].tolist()
        assert not samples.flags.writeable


def test_excerpts_must_lie_inside_their_clips(dataset: Folder) -> None:
    pack = open_pack(dataset, RATE_HZ)
    length = int(pack.num_samples[5])
    for onset, count in ((0, length + 1), (length, 1), (-1, 10), (0, -1)):
        with pytest.raises(ValueError, match=f"of clip 5, which has {length}"):
            pack.excerpts(np.array([5]), np.array([onset]), np.array([count]))
    assert not len(next(pack.excerpts(np.array([5]), np.array([length]), np.array([0]))))


def test_a_batch_holds_excerpts_cut_to_its_length_or_padded_with_zeros(dataset: Folder) -> None:
    pack = open_pack(dataset, RATE_HZ)
    cut = Excerpts(np.array([5, 2, 5]), np.array([0, 100, 900]), np.array([1500, 700, 1000]))
    batch = read_batch(pack, cut, 1000)
    assert batch.waveform.shape == (3, 1000)
    assert batch.num_samples.tolist() == [1000, 700, 1000]
    assert batch.clip_index.tolist() == [5, 2, 5]
    assert batch.waveform[0].tolist() == pack.clip(5)[:1000].tolist()
    assert batch.waveform[1].tolist() == pack.clip(2)[100:800].tolist() + [0] * 300
    assert batch.waveform[2].tolist() == pack.clip(5)[900:1900].tolist()


@pytest.mark.usefixtures("small_shards")
def test_few_files_stay_mapped(dataset: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packs, "MAX_MAPS", 2)
    pack = open_pack(dataset, RATE_HZ)
    views = [pack.clip(row) for row in range(12)]
    assert len(pack._maps) == 2
    for row, view in enumerate(views):
        assert (view == read_audio(dataset.audio_path(row), RATE_HZ)[0]).all()


def test_many_waveforms_do_not_hold_as_many_files_open(dataset: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clips_module, "MOST_ON_PAGES", 2)
    pack = open_pack(dataset, RATE_HZ)
    rows = np.arange(4)
    read = read_excerpts(pack, whole_clips(pack, rows), 10_000)
    assert [samples.base is None for samples in read] == [False, False, True, True]
    for row, samples in enumerate(read):
        assert (samples == pack.clip(row)[:10_000]).all()


# Excerpts, problems


def test_clips_cut_from_a_recording(tmp_path: Path) -> None:
    tone = np.sin(np.arange(10 * 16000) * 0.3) * np.linspace(0.1, 0.9, 160000)
    soundfile.write(tmp_path / "long.ogg", tone, 16000)
    onsets, offsets = [0.0, 2.5, 5.0, 9.0, None, 12.0], [2.5, 5.0, None, 11.0, 1.0, 13.0]
    table = {"clip": list("abcdef"), "path": ["long.ogg"] * 6, "onset": onsets, "offset": offsets}
    dataset = Folder(tmp_path, pa.table(table | {"duration_s": [10.0] * 6}))
    pack = open_pack(dataset, RATE_HZ)
    for row, (onset, offset) in enumerate(zip(onsets[:5], offsets[:5], strict=True)):
        assert (pack.clip(row) == read_audio(tmp_path / "long.ogg", RATE_HZ, onset, offset)[0]).all()
    assert pack.num_samples.tolist() == [20000, 20000, 40000, 8000, 8000, 0]
    assert [(p.clip, p.kind, p.outcome) for p in pack.problems] == [
        ("d", "shorter than said", "kept"),
        ("f", "outside recording", "left out"),
    ]


def test_bad_files_are_named_and_the_rest_goes_on(dataset: Folder) -> None:
    names, durations = dataset.clips["path"].to_pylist(), dataset.clips["duration_s"].to_pylist()
    (dataset.folder / names[1]).unlink()
    (dataset.folder / names[2]).write_bytes((dataset.folder / names[2]).read_bytes()[:-900])
    (dataset.folder / names[3]).write_bytes(b"")
    soundfile.write(dataset.folder / names[6], np.zeros(round(durations[6] * RATE_HZ)), RATE_HZ)
    pack = open_pack(dataset, RATE_HZ)
    found = [(problem.path, problem.clip, problem.kind, problem.outcome) for problem in pack.problems]
    assert found == [
        ("1.flac", "c1.flac", "missing", "left out"),
        ("2.ogg", "c2.ogg", "truncated", "left out"),
        ("3.wav", "c3.wav", "empty", "left out"),
        ("6.wav", "c6.wav", "silent", "kept"),
    ]
    assert np.flatnonzero(pack.num_samples == 0).tolist() == [1, 2, 3]
    assert len(pack.clip(1)) == 0
    assert open_pack(dataset, RATE_HZ).problems == pack.problems


@pytest.mark.parametrize(("said_s", "kind"), [(5.0, "shorter than said"), (0.1, "longer than said")])
def test_a_length_other_than_the_tables_is_named(dataset: Folder, said_s: float, kind: str) -> None:
    durations = dataset.clips["duration_s"].to_pylist()
    durations[4] = said_s
    pack = open_pack(dataset.replaced(duration_s=durations), RATE_HZ)
    assert [(problem.clip, problem.kind) for problem in pack.problems] == [("c4.flac", kind)]
    assert pack.problems[0].detail.endswith(f"the table says {said_s:.2f} s")


@pytest.mark.usefixtures("small_shards")
def test_a_left_out_file_is_tried_again_once_it_changed(dataset: Folder) -> None:
    path = dataset.audio_path(5)
    content = path.read_bytes()
    path.unlink()
    assert open_pack(dataset, RATE_HZ).num_samples[5] == 0
    before = times_of(pack_folder(dataset))
    path.write_bytes(content)
    pack = open_pack(dataset, RATE_HZ)
    assert_holds_recordings(pack, dataset)
    assert pack.problems == []
    changed = [name for name, time in times_of(pack_folder(dataset)).items() if time != before[name]]
    assert len(changed) == 1


def test_all_left_out(tmp_path: Path) -> None:
    dataset = Folder(tmp_path, pa.table({"clip": ["a", "b"], "path": ["a.wav", "b.wav"]}))
    for _ in range(2):
        pack = open_pack(dataset, RATE_HZ)
        assert pack.num_samples.tolist() == [0, 0]
        assert pack.problems == [problem_of("missing", "a.wav", "a"), problem_of("missing", "b.wav", "b")]
        assert len(pack.clip(1)) == 0


def test_no_clips(tmp_path: Path) -> None:
    table = pa.table({"clip": pa.array([], pa.string()), "path": pa.array([], pa.string())})
    pack = open_pack(Folder(tmp_path, table), RATE_HZ)
    assert pack.num_clips == 0
    assert pack.problems == []


# The plan


def test_the_plan_depends_on_the_table_alone(dataset: Folder) -> None:
    table = dataset.clips
    chunked = pa.concat_tables([table.slice(0, 5), table.slice(5)])
    sliced = pa.concat_tables([table.slice(0, 1), table]).slice(1)
    large = table.set_column(0, "clip", table["clip"].cast(pa.large_string()))
    plan = plan_shards(columns_of(table), RATE_HZ)
    for same in (chunked, sliced, large, table.append_column("split", pa.array(["train"] * 12))):
        assert plan_shards(columns_of(same), RATE_HZ) == plan
    assert plan_shards(columns_of(table), 16000) != plan


def test_shards_have_about_their_size_and_cover_the_table() -> None:
    num_clips = 50_000
    table = pa.table(
        {
            "clip": [str(row) for row in range(num_clips)],
            "path": ["a.wav"] * num_clips,
            "duration_s": np.random.default_rng(0).uniform(1, 30, num_clips),
        }
    )
    plan = plan_shards(columns_of(table), 32000)
    assert [shard.first for shard in plan[1:]] == [shard.stop for shard in plan[:-1]]
    assert (plan[0].first, plan[-1].stop) == (0, num_clips)
    duration_s = table["duration_s"].to_numpy()
    sizes = [64000 * duration_s[shard.first : shard.stop].sum() for shard in plan[:-1]]
    assert min(sizes) > 62e6
    assert max(sizes) < 66e6
    assert len({shard.digest for shard in plan}) == len(plan)


def test_a_clip_longer_than_a_shard_has_one_for_itself() -> None:
    table = pa.table({"clip": list("abc"), "path": list("abc"), "duration_s": [5.0, 36000.0, 5.0]})
    assert [(shard.first, shard.stop) for shard in plan_shards(columns_of(table), 32000)] == [(0, 2), (2, 3)]


@pytest.mark.usefixtures("small_shards")
def test_only_shards_whose_rows_changed_are_made_again(dataset: Folder) -> None:
    open_pack(dataset, RATE_HZ)
    before = times_of(pack_folder(dataset))

    def changed(dataset: Folder) -> list[str]:
        nonlocal before
        assert_holds_recordings(open_pack(dataset, RATE_HZ), dataset)
        after = times_of(pack_folder(dataset))
        names = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
        before = after
        return names

    paths = dataset.clips["path"].to_pylist()
    soundfile.write(dataset.folder / "other.wav", np.full(6000, 0.1), RATE_HZ)
    paths[0] = "other.wav"
    assert changed(dataset.replaced(path=paths)) == ["shard-00000.i16"]
    assert changed(dataset) == ["shard-00000.i16"]
    assert changed(dataset.replaced(split=["train"] * 12)) == []
    fewer = Folder(dataset.folder, dataset.clips.slice(0, 9))
    num_shards = len(plan_shards(columns_of(fewer.clips), RATE_HZ))
    assert num_shards < len(before)
    assert len(changed(fewer)) <= len(plan_shards(columns_of(dataset.clips), RATE_HZ)) - num_shards + 1
    assert sorted(before) == [f"shard-{number:05d}.i16" for number in range(num_shards)]


# Damage, interruption, company


@pytest.mark.usefixtures("small_shards")
@pytest.mark.parametrize("damage", ["shorter", "gone", "no record", "torn record"])
def test_a_damaged_shard_is_made_again(dataset: Folder, damage: str) -> None:
    open_pack(dataset, RATE_HZ)
    folder = pack_folder(dataset)
    expected, before = content_of(folder), times_of(folder)
    path, record = folder / "shard-00001.i16", folder / "shard-00001.json"
    if damage == "shorter":
        path.write_bytes(path.read_bytes()[:-2])
    elif damage == "gone":
        path.unlink()
    else:
        (folder / "index.json").unlink()
        record.write_text(record.read_text()[:50]) if damage == "torn record" else record.unlink()
    assert_holds_recordings(open_pack(dataset, RATE_HZ), dataset)
    assert content_of(folder) == expected
    assert [name for name, time in times_of(folder).items() if time != before[name]] == [path.name]


@pytest.mark.usefixtures("small_shards")
def test_verifying_finds_a_single_wrong_bit(dataset: Folder, caplog: pytest.LogCaptureFixture) -> None:
    open_pack(dataset, RATE_HZ)
    folder = pack_folder(dataset)
    expected = content_of(folder)
    content = bytearray(expected["shard-00002.i16"])
    content[-100] ^= 1
    (folder / "shard-00002.i16").write_bytes(content)
    open_pack(dataset, RATE_HZ)
    assert content_of(folder) != expected
    open_pack(dataset, RATE_HZ, verify=True)
    assert content_of(folder) == expected
    assert "shard-00002.i16 has a wrong checksum" in caplog.text


@pytest.mark.usefixtures("small_shards")
def test_an_index_of_another_table_is_not_believed(dataset: Folder) -> None:
    open_pack(dataset, RATE_HZ)
    (pack_folder(dataset) / "index.json").write_text("{}")
    assert_holds_recordings(open_pack(dataset, RATE_HZ), dataset)
    np.save(pack_folder(dataset) / "num_samples.npy", np.ones(3, np.int64))
    assert_holds_recordings(open_pack(dataset, RATE_HZ), dataset)


PACKING = f"""
import os, signal, sys
from pathlib import Path
import pyarrow.parquet
import earmark.files
from earmark.data import packing, shards
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_packs import RATE_HZ, SMALL_SHARD, Folder
from earmark.data.packs import open_pack

shards.SHARD_BYTES = SMALL_SHARD
folder, point, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
dataset = Folder(folder, pyarrow.parquet.read_table(folder / "clips.parquet"))
seen = 0

def die_at(name):
    global seen
    seen += name == point
    if seen >= count and name == point:
        os.kill(os.getpid(), signal.SIGKILL)

write_json, replace = packing.write_json, Path.replace
def write_json_or_die(*what):
    die_at("before record")
    write_json(*what)
    die_at("after record")
def replace_or_die(*what):
    die_at("before rename")
    return replace(*what)
packing.write_json, Path.replace = write_json_or_die, replace_or_die
open_pack(dataset, RATE_HZ, workers=2, progress=lambda done, total: die_at("clip"))
"""


def start_packing(dataset: Folder, point: str = "never", count: int = 1) -> subprocess.Popen:
    pq.write_table(dataset.clips, dataset.folder / "clips.parquet")
    command = [sys.executable, "-c", PACKING, str(dataset.folder), point, str(count)]
    return subprocess.Popen(command, cwd=REPOSITORY, env={**os.environ, "OMP_NUM_THREADS": "1"})


@pytest.mark.usefixtures("small_shards")
@pytest.mark.parametrize(
    ("point", "count"),
    [("clip", 1), ("clip", 8), ("clip", 12), ("before rename", 1), ("before rename", 4), ("before record", 2)],
)
def test_a_killed_packing_goes_on_where_it_was(tmp_path: Path, point: str, count: int) -> None:
    dataset, unbroken = make_dataset(tmp_path / "killed"), make_dataset(tmp_path / "unbroken")
    assert start_packing(dataset, point, count).wait() == -signal.SIGKILL
    folder = pack_folder(dataset)
    assert not (folder / "index.json").exists()
    whole = {path.stem: path.stat().st_mtime_ns for path in folder.glob("shard-*.json")}
    pack = open_pack(dataset, RATE_HZ)
    open_pack(unbroken, RATE_HZ)
    assert content_of(folder) == content_of(pack_folder(unbroken))
    assert_holds_recordings(pack, dataset)
    # What was whole was not made again.
    assert all((folder / f"{name}.json").stat().st_mtime_ns == time for name, time in whole.items())
    assert len(whole) > 0 or (point, count) in [("clip", 1), ("before rename", 1), ("before record", 1)]


def test_processes_that_pack_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    dataset, alone = make_dataset(tmp_path / "together", 24), make_dataset(tmp_path / "alone", 24)
    processes = [start_packing(dataset) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert start_packing(alone).wait() == 0
    assert content_of(pack_folder(dataset)) == content_of(pack_folder(alone))


def test_a_bug_while_decoding_is_not_swallowed(dataset: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(packing, "read_parts", broken)
    with pytest.raises(ZeroDivisionError):
        open_pack(dataset, RATE_HZ)
    assert not list(pack_folder(dataset).glob("*shard*"))


@pytest.mark.usefixtures("small_shards")
def test_few_clips_are_in_memory_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = make_dataset(tmp_path / "set", 60)
    decoded, written = [], []
    decode = packing.read_parts
    monkeypatch.setattr(packing, "read_parts", lambda *what: decoded.append(1) or decode(*what))
    ahead = []

    def progress(done: int, total: int) -> None:
        written.append((done, total))
        ahead.append(len(decoded) - done)

    open_pack(dataset, RATE_HZ, workers=2, progress=progress)
    assert written == [(done, 60) for done in range(1, 61)]
    assert max(ahead) <= 4  # two a thread


def test_too_little_room_is_said_before_packing(dataset: Folder) -> None:
    table = dataset.replaced(duration_s=[1e12] * 12)
    with pytest.raises(InputError, match=r"packing needs about 192000000\.0 GB of disk, found .* GB free"):
        open_pack(table, RATE_HZ)


def test_progress_and_log(dataset: Folder, caplog: pytest.LogCaptureFixture) -> None:
    dataset.audio_path(3).unlink()
    with caplog.at_level("INFO"):
        open_pack(dataset, RATE_HZ)
        open_pack(dataset, RATE_HZ)
    assert [record.getMessage() for record in caplog.records] == [
        f"packing 12 clips at 8000 Hz into {pack_folder(dataset)} (0 of 1 shards are there)",
        "packed 11 of 12 clips: 1 missing (left out)",
    ]


def test_the_record_is_plain_to_read(dataset: Folder) -> None:
    open_pack(dataset, RATE_HZ)
    record = json.loads((pack_folder(dataset) / "shard-00000.json").read_text())
    assert set(record) == {"format", "digest", "num_samples", "crc32", "problems", "left_out"}
    assert len(record["num_samples"]) == len(record["crc32"]) == 12
