import hashlib
import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import soundfile

from earmark.config import leaves, settings_from, values_of
from earmark.data.dataset import open_dataset, write_dataset
from earmark.data.info import describe_dataset
from earmark.data.packs import open_pack
from earmark.data.synthesis import CorruptSettings, MixSettings, corrupt, mix, mixing
from earmark.data.synthesis.mixing import soundscapes_by_split
from earmark.data.synthesis.soundscape import Sounds, make_soundscape, merged_events, pink_noise
from earmark.data.table_files import read_table_file
from earmark.data.tables import CLIP_SCHEMA, LABEL_SCHEMA, SPLITS, columns_or_null
from earmark.data.vocabulary import Vocabulary
from earmark.errors import InputError

RATE_HZ = 8000
SMALL = {"num_clips": 10, "rate_hz": RATE_HZ, "clip_s": 2.0, "max_event_s": 1.0}
# Where the recordings of a tag sound, in samples: on the grid of 10 ms, and over .2 s apart, so that each is an event.
SPANS = {
    "Bark": ((800, 2400), (4800, 5600), (8000, 8800)),
    "Hum": ((0, 12_000),),
    "Tick": ((4000, 4880),),
}
# What a label says, where that is not 1.
VALUES = {"odd/doubted": 0.4}


def settings_of(**changed):
    return settings_from(MixSettings, {**SMALL, **changed})


def sound(tag, seed):
    """A recording of 1.5 s: noise of its own level where the tag sounds, digital silence elsewhere."""
    draw = np.random.default_rng([seed, len(tag)])
    waveform = np.zeros(12_000)
    for onset, offset in SPANS[tag]:
        waveform[onset:offset] = draw.uniform(0.05, 0.3) * draw.uniform(-1, 1, offset - onset)
    return waveform


def dataset_of(folder, rows):
    """A data set of recordings given as (path, tags, group, fold, waveform)."""
    names = [path.removesuffix(".wav") for path, *_ in rows]
    for path, *_, waveform in rows:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / path, waveform, RATE_HZ)
    clips = columns_or_null(
        len(rows),
        CLIP_SCHEMA,
        clip=pa.array(names),
        path=pa.array([path for path, *_ in rows]),
        fold=pa.array([fold for _, _, _, fold, _ in rows]),
        group=pa.array([group for _, _, group, _, _ in rows]),
        labelled=pa.repeat("weak", len(rows)),
    )
    said = [(name, tag) for name, (_, tags, *_) in zip(names, rows, strict=True) for tag in tags.split(";") if tag]
    labels = columns_or_null(
        len(said),
        LABEL_SCHEMA,
        clip=pa.array([name for name, _ in said]),
        tag=pa.array([tag for _, tag in said]),
        value=pa.array([VALUES.get(name, 1.0) for name, _ in said], pa.float32()),
    )
    vocabulary = Vocabulary(tuple(sorted({tag for _, tag in said})))
    return write_dataset(
        folder / "set", name="set", clips=clips, labels=labels, vocabulary=vocabulary, audio_root=folder
    )


@pytest.fixture(scope="session")
def sounds(tmp_path_factory):
    """Three tags with six recordings of two takes each, and clips that cannot be used."""
    folder = tmp_path_factory.mktemp("mix")
    rows = [
        (f"{tag}/{take}.wav", tag, f"{tag}{take // 2}", take // 2 % 3, sound(tag, take))
        for tag in SPANS
        for take in range(12)
    ]
    click = np.zeros(12_000)
    click[4000:4320] = 0.2
    rows += [
        ("odd/two.wav", "Hum;Tick", "odd", 0, sound("Hum", 99)),
        ("odd/none.wav", "", "odd", 0, sound("Hum", 99)),
        ("odd/doubted.wav", "Hum", "odd", 0, sound("Hum", 99)),
        ("odd/silent.wav", "Hum", "odd", 0, np.zeros(8000)),
        ("odd/faint.wav", "Hum", "odd", 0, 1e-5 * sound("Hum", 98)),
        ("odd/short.wav", "Hum", "odd", 0, click),
    ]
    return dataset_of(folder, rows)


@pytest.fixture(scope="session")
def hisses(tmp_path_factory):
    """Recordings for backgrounds: six groups of 3 s; one too short, one with a tag of the sounds."""
    draw = np.random.default_rng(5)
    rows = [(f"hiss/{k}.wav", "Street", f"street{k}", 0, 0.1 * draw.uniform(-1, 1, 24_000)) for k in range(6)]
    rows += [
        ("hiss/short.wav", "Street", "street6", 0, 0.1 * draw.uniform(-1, 1, 8000)),
        ("hiss/tagged.wav", "Street;Hum", "street7", 0, 0.1 * draw.uniform(-1, 1, 24_000)),
    ]
    return dataset_of(tmp_path_factory.mktemp("hiss"), rows)


@pytest.fixture(scope="session")
def mixed(sounds, tmp_path_factory):
    """The soundscapes of the default settings but for their size, with their summary."""
    out = tmp_path_factory.mktemp("mixed") / "out"
    summary = mix(sounds, out, settings_of(num_clips=25), seed=3)
    return open_dataset(out), summary


def source_rows(dataset):
    """The rows of sources.csv by clip."""
    by_clip = {clip: [] for clip in dataset.column("clip")}
    for row in read_table_file(dataset.folder / "sources.csv").table.to_pylist():
        numbers = {key: None if row[key] in (None, "") else float(row[key]) for key in row if is_number(key)}
        by_clip[row["clip"]].append(row | numbers)
    return by_clip


def is_number(key):
    return key.endswith(("onset", "offset", "gain", "_db"))


def events_of(dataset):
    table = pa.parquet.read_table(dataset.folder / "labels" / "given.parquet")
    by_clip = {clip: [] for clip in dataset.column("clip")}
    for row in table.to_pylist():
        by_clip[row["clip"]].append((row["tag"], round(row["onset"] * RATE_HZ), round(row["offset"] * RATE_HZ)))
    return by_clip


def waveform_of(dataset, clip):
    path = dataset.folder / "audio" / f"{clip}.flac"
    assert soundfile.info(path).subtype == "PCM_16"
    waveform, rate_hz = soundfile.read(path, dtype="int16")
    assert (waveform.shape, rate_hz) == ((2 * RATE_HZ,), RATE_HZ)
    return waveform


def samples(row, *names):
    return [round(row[name] * RATE_HZ) for name in names]


def faded(source, row, fade_s=0.01):
    """The stretch of a row, faded in and out, by the documented rule."""
    packed = open_pack(source, RATE_HZ)
    clip = source.column("clip").tolist().index(row["source_clip"])
    onset, offset = samples(row, "source_onset", "source_offset")
    stretch = packed.clip(clip)[onset:offset] / 32768
    if row["kind"] == "event":
        fade = round(fade_s * RATE_HZ)
        for k in range(min(fade, len(stretch))):
            stretch[k] *= (k + 1) / (fade + 1)
            stretch[len(stretch) - 1 - k] *= (k + 1) / (fade + 1)
    return stretch


def rebuilt(dataset, clip, rows, sounds, backgrounds=None, seed=3):
    total = np.zeros(2 * RATE_HZ)
    for row in rows:
        onset, offset = samples(row, "onset", "offset")
        if row["kind"] == "pink":
            split, number = clip.split("-")
            draw = np.random.default_rng([seed, SPLITS.index(split), int(number), 1])
            term = pink_noise(2 * RATE_HZ, RATE_HZ, draw)
        else:
            term = faded(sounds if row["kind"] == "event" else backgrounds, row)
        total[onset:offset] += row["gain"] * term
    return total


def test_the_table_of_sources_rebuilds_every_soundscape(mixed, sounds):
    dataset, _ = mixed
    for clip, rows in source_rows(dataset).items():
        error = rebuilt(dataset, clip, rows, sounds) * 32768 - waveform_of(dataset, clip)
        assert np.abs(error).max() < 0.5 + 1e-6, clip


def test_events_are_the_active_parts_of_what_was_placed(mixed):
    dataset, summary = mixed
    events, num_events = events_of(dataset), 0
    for clip, rows in source_rows(dataset).items():
        sounding = {tag: np.zeros(2 * RATE_HZ, bool) for tag in SPANS}
        for row in rows:
            if row["kind"] != "event":
                continue
            (source_onset, source_offset, onset) = samples(row, "source_onset", "source_offset", "onset")
            for first, last in SPANS[row["tag"]]:
                first, last = max(first, source_onset), min(last, source_offset)
                if last > first:
                    sounding[row["tag"]][first - source_onset + onset : last - source_onset + onset] = True
        labelled = {tag: np.zeros(2 * RATE_HZ, int) for tag in SPANS}
        for tag, onset, offset in events[clip]:
            # One more on each side would show events of a tag that touch.
            labelled[tag][max(0, onset - 1) : onset] += 1
            labelled[tag][onset:offset] += 1
        for tag in SPANS:
            assert labelled[tag].max() <= 1, "events of one tag touch"
        truth = {tag: np.zeros(2 * RATE_HZ, bool) for tag in SPANS}
        for tag, onset, offset in events[clip]:
            truth[tag][onset:offset] = True
        assert all((truth[tag] == sounding[tag]).all() for tag in SPANS), clip
        num_events += len(events[clip])
    assert summary.events == num_events > 25


def test_sounds_have_their_level_above_the_background(mixed, sounds):
    dataset, _ = mixed
    for rows in source_rows(dataset).values():
        for row in rows:
            if row["kind"] == "pink":
                assert 20 * np.log10(row["gain"] / row["clip_gain"]) == pytest.approx(-55)
                continue
            assert 6 <= row["snr_db"] <= 30
            waveform = faded(sounds, row) * row["gain"] / row["clip_gain"]
            source_onset, source_offset = samples(row, "source_onset", "source_offset")
            active = np.zeros(len(waveform), bool)
            for first, last in SPANS[row["tag"]]:
                active[max(0, first - source_onset) : max(0, min(last, source_offset) - source_onset)] = True
            level_db = 10 * np.log10(np.mean(waveform[active] ** 2))
            assert level_db == pytest.approx(-55 + row["snr_db"], abs=1e-6)


def test_the_tables_are_those_of_a_data_set(mixed, sounds):
    dataset, summary = mixed
    assert dataset.vocabulary == sounds.vocabulary
    assert set(dataset.column("labelled")) == {"strong"}
    assert dataset.column("group").tolist() == dataset.column("clip").tolist()
    assert set(dataset.column("duration_s")) == {2.0}
    assert sorted(dataset.column("clip")) == sorted(path.stem for path in (dataset.folder / "audio").iterdir())
    assert {name: int((dataset.column("split") == name).sum()) for name in SPLITS} == summary.soundscapes
    assert summary.soundscapes == {"train": 15, "validation": 5, "test": 5}
    assert summary.sounds == {"train": 24, "validation": 6, "test": 6}
    assert summary.groups == {"train": 12, "validation": 3, "test": 3}
    assert summary.passed_over == {
        "without a tag": 1,
        "with several tags": 1,
        "whose tag has a value under 0.5": 1,
        "silent (under -60 dB of full scale)": 2,
        "active for less than 0.1 s": 1,
    }
    assert dataset.labels().counts().sum() > 25
    assert open_pack(dataset, RATE_HZ).num_samples.tolist() == [16_000] * 25
    assert describe_dataset(dataset)


def test_the_summary_is_kept_and_told(mixed):
    dataset, summary = mixed
    kept = dataset.about["import"]
    assert (kept["made_by"], kept["seed"], kept["test_fold"]) == ("mix", 3, None)
    assert settings_from(MixSettings, kept["settings"]) == settings_of(num_clips=25)
    assert kept["placed"] == summary.placed
    lines = summary.lines()
    assert lines[0] == f"{dataset.folder}: 25 soundscapes, 0.01 h"
    assert "train: 15 soundscapes from 24 clips of 12 recordings" in lines
    assert "passed over: 2 clips silent (under -60 dB of full scale)" in lines
    assert f"placed: {summary.placed} sounds, {summary.events} events" in lines


def digests(folder):
    """Of every file by name; what is said of the date and of the folder's own name is left away."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            if path.name == "dataset.json":
                content = json.dumps({**json.loads(content), "created": "", "name": ""}).encode()
            found[str(path.relative_to(folder))] = hashlib.sha256(content).hexdigest()
    return found


def test_same_seed_same_bytes_for_any_number_of_workers(sounds, tmp_path):
    mix(sounds, tmp_path / "one", settings_of(), seed=7, workers=1)
    mix(sounds, tmp_path / "four", settings_of(), seed=7, workers=4)
    mix(sounds, tmp_path / "again", settings_of(), seed=7)
    mix(sounds, tmp_path / "other", settings_of(), seed=8)
    first = digests(tmp_path / "one")
    assert len(first) == 10 + 6
    assert first == digests(tmp_path / "four") == digests(tmp_path / "again")
    other = digests(tmp_path / "other")
    assert all(first[name] != other[name] for name in first if name.endswith(".flac"))


def test_more_soundscapes_begin_with_the_same_ones(sounds, mixed, tmp_path):
    few = mix(sounds, tmp_path / "few", settings_of(), seed=3)
    assert few.soundscapes == {"train": 6, "validation": 2, "test": 2}
    long, short = digests(mixed[0].folder), digests(tmp_path / "few")
    names = [name for name in short if name.endswith(".flac")]
    assert len(names) == 10
    assert all(long[name] == short[name] for name in names)


def test_another_background_leaves_the_events(sounds, mixed, tmp_path):
    summary = mix(sounds, tmp_path / "quiet", settings_of(num_clips=25, background="none"), seed=3)
    quiet = open_dataset(tmp_path / "quiet")
    assert events_of(quiet) == events_of(mixed[0])
    assert (summary.placed, summary.left_out) == (mixed[1].placed, mixed[1].left_out)
    for clip, rows in source_rows(quiet).items():
        waveform = waveform_of(quiet, clip)
        outside = np.ones(len(waveform), bool)
        for row in rows:
            onset, offset = samples(row, "onset", "offset")
            outside[onset:offset] = False
        assert not waveform[outside].any()
        assert waveform[~outside].any()


def test_what_would_clip_is_scaled_down_as_a_whole_and_counted(sounds, tmp_path):
    loud = settings_of(background_db=-12.0, min_snr_db=20, max_snr_db=30, min_events=2)
    summary = mix(sounds, tmp_path / "loud", loud, seed=3)
    dataset = open_dataset(tmp_path / "loud")
    for clip, rows in source_rows(dataset).items():
        waveform = waveform_of(dataset, clip).astype(int)
        assert len({row["clip_gain"] for row in rows}) == 1
        assert rows[0]["clip_gain"] < 1
        assert np.abs(waveform).max() == 32767
        error = rebuilt(dataset, clip, rows, sounds) * 32768 - waveform
        assert np.abs(error).max() < 0.5 + 1e-6
    assert summary.scaled_down == 10
    assert summary.lowest_gain == min(rows[0]["clip_gain"] for rows in source_rows(dataset).values())
    assert any(line.startswith("scaled down so as not to clip: 10 soundscapes as a whole") for line in summary.lines())


def test_no_more_sounds_at_once_than_allowed(sounds, tmp_path):
    for max_overlap in (1, 2):
        asked = settings_of(max_overlap=max_overlap, min_events=4, max_events=4, max_event_s=0.6)
        summary = mix(sounds, tmp_path / str(max_overlap), asked, seed=1)
        for rows in source_rows(open_dataset(tmp_path / str(max_overlap))).values():
            sounding = np.zeros(2 * RATE_HZ, int)
            for row in rows:
                onset, offset = samples(row, "onset", "offset")
                sounding[onset:offset] += row["kind"] == "event"
            assert 1 <= sounding.max() <= max_overlap
        assert (summary.placed, summary.left_out) == (40, 0)


@pytest.mark.parametrize("max_overlap", [1, 2])
@pytest.mark.parametrize("fade_s", [0.0, 0.02])
def test_as_many_sounds_as_asked_for_are_placed_where_there_is_room(sounds, tmp_path, max_overlap, fade_s):
    # 1.5 s of a hum, 1.1 s of barks and ticks of .1 s in 2 s: uncut, many fit nowhere.
    asked = settings_of(max_overlap=max_overlap, min_events=2, max_events=2, max_event_s=2.0, fade_s=fade_s)
    summary = mix(sounds, tmp_path / "out", asked, seed=1)
    dataset = open_dataset(tmp_path / "out")
    for clip, rows in source_rows(dataset).items():
        assert sum(row["kind"] == "event" for row in rows) == 2, clip
    assert (summary.placed, summary.left_out) == (20, 0)


def test_what_fits_nowhere_is_cut_to_the_largest_gap_and_else_left_out_and_counted(sounds, tmp_path):
    asked = settings_of(max_overlap=1, min_events=0, max_events=8, max_event_s=1.5)
    summary = mix(sounds, tmp_path / "out", asked, seed=1)
    dataset = open_dataset(tmp_path / "out")
    placed = 0
    for clip, rows in source_rows(dataset).items():
        sounding = np.zeros(2 * RATE_HZ, int)
        for row in rows:
            if row["kind"] != "event":
                continue
            placed += 1
            onset, offset = samples(row, "onset", "offset")
            sounding[onset:offset] += 1
        assert sounding.max(initial=0) <= 1
        error = rebuilt(dataset, clip, rows, sounds, seed=1) * 32768 - waveform_of(dataset, clip)
        assert np.abs(error).max() < 0.5 + 1e-6
    assert placed == summary.placed
    assert summary.cut_to_fit > 0
    assert summary.left_out > 0
    assert f"cut to fit: {summary.cut_to_fit} sounds, to the largest gap that max_overlap left" in summary.lines()
    assert f"left out: {summary.left_out} sounds for which max_overlap left no gap" in summary.lines()


def test_a_cut_sound_lies_in_a_gap_of_its_size(sounds):
    # Two hums of 1.5 s in 2 s, one at a time: the first fits whole, the second gets the largest gap.
    parts = {row: np.array([[0, 12_000]]) for row in range(12, 24)}
    hums = Sounds(open_pack(sounds, RATE_HZ), [(1, np.arange(12, 24))], parts, {}, None, np.empty(0, np.int64))
    asked = settings_of(max_overlap=1, min_events=1, max_events=2, max_event_s=2.0, background="none", fade_s=0)
    seen = set()
    for number in range(40):
        made = make_soundscape(hums, asked, 0, 0, number)
        spans = [(term.onset, term.offset) for term in made.placed]
        seen.add((len(spans), made.num_cut_to_fit, made.num_left_out))
        if len(spans) == 2:
            onset, offset = spans[0]
            gap = max((0, onset), (offset, 16_000), key=lambda span: span[1] - span[0])
            assert offset - onset == 12_000
            assert spans[1] == gap
    assert seen == {(1, 0, 0), (2, 1, 0)}


def test_sources_come_from_the_split_that_a_fold_names(sounds, tmp_path):
    mix(sounds, tmp_path / "out", settings_of(), seed=0, test_fold=1, validation_fold=2)
    fold = dict(zip(sounds.column("clip"), sounds.column("fold"), strict=True))
    for clip, rows in source_rows(open_dataset(tmp_path / "out")).items():
        expected = {"train": 0, "test": 1, "validation": 2}[clip.split("-")[0]]
        assert {fold[row["source_clip"]] for row in rows if row["kind"] == "event"} == {expected}


@pytest.mark.parametrize("seed", range(4))
def test_no_recording_is_heard_in_two_splits(sounds, hisses, seed, tmp_path):
    mix(sounds, tmp_path / "out", settings_of(num_clips=20), seed=seed, backgrounds=hisses)
    heard = {}
    for clip, rows in source_rows(open_dataset(tmp_path / "out")).items():
        for row in rows:
            heard.setdefault(row["source_group"], set()).add(clip.split("-")[0])
    assert len(heard) > 12
    assert all(len(splits) == 1 for splits in heard.values())


def test_soundscapes_are_shared_out_exactly():
    assert soundscapes_by_split(settings_of(num_clips=1000)) == (600, 200, 200)
    assert soundscapes_by_split(settings_of(num_clips=3)) == (1, 1, 1)
    assert soundscapes_by_split(settings_of(num_clips=1)) == (1, 0, 0)
    assert soundscapes_by_split(settings_of(num_clips=5, validation_share=0.5, test_share=0.5)) == (0, 3, 2)


def test_backgrounds_are_stretches_of_recordings(sounds, hisses, tmp_path):
    summary = mix(sounds, tmp_path / "out", settings_of(), seed=3, backgrounds=hisses)
    dataset = open_dataset(tmp_path / "out")
    assert summary.backgrounds == {"train": 4, "validation": 1, "test": 1}
    assert summary.backgrounds_passed_over == {"shorter than a soundscape": 1, "with a tag of the sounds": 1}
    for clip, rows in source_rows(dataset).items():
        assert [row["kind"] for row in rows][:2] == ["background", "event"]
        assert rows[0]["source_clip"].startswith("hiss/")
        assert rows[0]["source_offset"] - rows[0]["source_onset"] == pytest.approx(2)
        level = np.sqrt(np.mean(faded(hisses, rows[0]) ** 2)) * rows[0]["gain"] / rows[0]["clip_gain"]
        assert 20 * np.log10(level) == pytest.approx(-55)
        error = rebuilt(dataset, clip, rows, sounds, hisses) * 32768 - waveform_of(dataset, clip)
        assert np.abs(error).max() < 0.5 + 1e-6
    assert "passed over: 1 backgrounds with a tag of the sounds" in summary.lines()


def test_a_recording_is_not_sound_here_and_background_there(sounds, tmp_path):
    draw = np.random.default_rng(0)
    groups = [f"Bark{k}" for k in range(6)] + [f"street{k}" for k in range(9)]
    rows = [(f"{k}.wav", "Street", name, 0, 0.1 * draw.uniform(-1, 1, 16_000)) for k, name in enumerate(groups)]
    backgrounds = dataset_of(tmp_path / "streets", rows)
    found = 0
    for seed in range(3):
        summary = mix(sounds, tmp_path / f"out{seed}", settings_of(), seed=seed, backgrounds=backgrounds)
        found += summary.backgrounds_passed_over.get("of a recording that another split has", 0)
        heard = {}
        for clip, of_clip in source_rows(open_dataset(tmp_path / f"out{seed}")).items():
            for row in of_clip:
                heard.setdefault(row["source_group"], set()).add(clip.split("-")[0])
        assert all(len(splits) == 1 for splits in heard.values())
    assert found > 0


def few_sounds(dataset):
    """Sounds of two tags: one recording of the first, eleven of the second."""
    parts = {row: np.array([[800, 2400]]) for row in range(12)}
    by_tag = [(0, np.arange(1)), (1, np.arange(1, 12))]
    return Sounds(open_pack(dataset, RATE_HZ), by_tag, parts, {}, None, np.empty(0, np.int64))


def test_tags_are_drawn_as_often_however_many_recordings_they_have(sounds):
    asked = settings_of(min_events=1, max_events=1, background="none", clip_s=1.0)
    terms = [make_soundscape(few_sounds(sounds), asked, 0, 0, number).placed[0] for number in range(400)]
    first = sum(term.tag_index == 0 for term in terms)
    assert abs(first - 200) < 4 * np.sqrt(400 * 0.25)
    assert {term.row for term in terms} == set(range(12))


def test_seed_split_and_number_each_make_another_soundscape(sounds):
    asked = settings_of()
    drawn = [make_soundscape(few_sounds(sounds), asked, *which) for which in np.ndindex(2, 3, 4)]
    assert len({made.clip for made in drawn}) == 12
    assert len({made.waveform[-80:].tobytes() for made in drawn}) == 24
    assert len({tuple(term.onset for term in made.placed if term.kind == "event") for made in drawn}) == 24
    again = make_soundscape(few_sounds(sounds), asked, 1, 2, 3)
    assert (again.waveform == drawn[-1].waveform).all()
    assert again.placed[1:] == drawn[-1].placed[1:]


def test_events_of_a_tag_that_touch_are_one():
    assert merged_events([(1, 5, 9), (0, 2, 8), (1, 9, 12), (0, 3, 4), (0, 9, 10)]).tolist() == [
        [0, 2, 8], [0, 9, 10], [1, 5, 12]
    ]  # fmt: skip
    assert merged_events([]).shape == (0, 3)


def test_pink_noise_falls_by_3_db_an_octave():
    noise = pink_noise(2**17, 32_000, np.random.default_rng(0))
    assert np.sqrt(np.mean(noise**2)) == pytest.approx(1)
    assert abs(noise.mean()) < 1e-12
    power = np.abs(np.fft.rfft(noise)) ** 2
    hz = np.fft.rfftfreq(2**17, 1 / 32_000)
    octaves = [power[(hz >= low) & (hz < 2 * low)].sum() for low in (125, 250, 500, 1000, 2000, 4000, 8000)]
    # Equal power in every octave; the narrowest holds 512 bins, so its power varies by a few percent.
    assert 10 * np.log10(np.array(octaves) / np.mean(octaves)) == pytest.approx(0, abs=0.7)


def in_splits(dataset, splits):
    """The clip table with splits."""
    column = dataset.clips.column_names.index("split")
    return dataset.clips.set_column(column, "split", pa.array(splits, pa.string()))


def refused(*args, **more):
    with pytest.raises(InputError) as caught:
        mix(*args, **more)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_taken_folder_is_refused_and_left(sounds, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("x")
    assert refused(sounds, tmp_path / "out", settings_of()) == (
        f"{tmp_path / 'out'}: must be a folder that is not there yet, or empty, found a folder with something in it; "
        "choose another folder"
    )
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]
    (tmp_path / "empty").mkdir()
    mix(sounds, tmp_path / "empty", settings_of(num_clips=3))
    assert open_dataset(tmp_path / "empty").num_clips == 3


def test_nothing_is_left_of_a_mix_that_fails(sounds, tmp_path, monkeypatch):
    written, really_write = [], soundfile.write

    def write(path, *args, **more):
        written.append(path)
        if len(written) == 4:
            raise KeyboardInterrupt
        really_write(path, *args, **more)

    monkeypatch.setattr(mixing.soundfile, "write", write)
    with pytest.raises(KeyboardInterrupt):
        mix(sounds, tmp_path / "out", settings_of(num_clips=200), workers=2)
    assert list(tmp_path.iterdir()) == []
    assert len(written) < 100


def test_a_mix_that_is_interrupted_writes_no_more(sounds, tmp_path):
    written = mixing._written(tmp_path, [few_sounds(sounds)], [400], settings_of(), 0, workers=2)
    next(written)
    written.close()
    assert 1 <= len(list(tmp_path.iterdir())) < 200


def test_a_split_without_recordings_is_refused_with_the_way_out(sounds, hisses, tmp_path):
    out = tmp_path / "out"
    with_splits = replace(sounds, clips=in_splits(sounds, ["train"] * 24 + ["validation"] * 12 + ["test"] * 6))
    assert refused(with_splits, out, settings_of()).endswith(
        "must have sounds for 2 test soundscapes, found none among 42 clips (passed over: 1 without a tag, 1 with "
        "several tags, 1 whose tag has a value under 0.5, 2 silent (under -60 dB of full scale), 1 active for less "
        "than 0.1 s); set test_share=0 or name a test fold"
    )
    assert refused(sounds, out, settings_of(clip_s=4.0), backgrounds=hisses) == (
        f"{hisses.folder}: must have backgrounds for 6 train soundscapes, found none among 8 clips (passed over: 8 "
        "shorter than a soundscape); give more clips"
    )
    assert list(tmp_path.iterdir()) == []


def test_more_clips_are_not_the_way_out_where_another_split_has_the_recordings(sounds, hisses, tmp_path):
    # Every background to train on is of a recording that sounds in test.
    clips = hisses.clips.set_column(
        hisses.clips.column_names.index("group"), "group", pa.array([f"Bark{k % 6}" for k in range(8)])
    )
    hisses = replace(hisses, clips=clips)
    fold = [5 if path.startswith("Bark") else 4 for path in sounds.clips["path"].to_pylist()]
    sounds = replace(
        sounds, clips=sounds.clips.set_column(sounds.clips.column_names.index("fold"), "fold", pa.array(fold))
    )
    asked = settings_of(validation_share=0)
    with pytest.raises(InputError, match=r"of a recording that another split has\); give clips of other recordings$"):
        mix(sounds, tmp_path / "out", asked, backgrounds=hisses, test_fold=5)


def test_splits_that_are_not_named_are_drawn_and_told(sounds, tmp_path):
    summary = mix(sounds, tmp_path / "out", settings_of(), test_fold=1, seed=4)
    # 12 groups are in folds 0 and 2, four of each tag.
    assert summary.groups == {"train": 9, "validation": 3, "test": 6}
    assert "validation: 3 recordings drawn with seed 4 by validation_share" in summary.lines()
    fold = dict(zip(sounds.column("clip"), sounds.column("fold"), strict=True))
    for clip, rows in source_rows(open_dataset(tmp_path / "out")).items():
        folds = {fold[row["source_clip"]] for row in rows if row["kind"] == "event"}
        assert folds == {1} if clip.startswith("test") else 1 not in folds
    about = open_dataset(tmp_path / "out").about["import"]
    assert about["notes"] == [
        "test: fold 1, 12 clips",
        "validation: 3 recordings drawn with seed 4 by validation_share",
    ]
    none = mix(sounds, tmp_path / "none", settings_of(validation_share=0), test_fold=1)
    assert none.groups == {"train": 12, "validation": 0, "test": 6}


def test_recordings_of_a_split_without_soundscapes_are_told(sounds, tmp_path):
    summary = mix(sounds, tmp_path / "out", settings_of(validation_share=0), test_fold=1, validation_fold=2)
    assert "validation: no soundscapes; 12 clips of 6 recordings are not used" in summary.lines()


def test_sounds_may_be_those_of_another_layer_also_of_a_truth_layer(sounds, tmp_path):
    mistaken = {"Bark": ["Hum"], "Hum": ["Tick"], "Tick": ["Bark"]}
    corrupt(sounds, tmp_path / "noisy", CorruptSettings(wrong_rate=1.0, wrong_pairs=mistaken), seed=1)
    noisy = open_dataset(tmp_path / "noisy")
    summary = mix(noisy, tmp_path / "out", settings_of(), seed=3, layer="truth")
    dataset = open_dataset(tmp_path / "out")
    tags = {tag for rows in source_rows(dataset).values() for row in rows for tag in [row["tag"]] if tag}
    assert tags == set(SPANS)
    for rows in source_rows(dataset).values():
        assert all(row["source_clip"].startswith(row["tag"]) for row in rows if row["kind"] == "event")
    assert "labels: layer truth, the truth about planted faults" in summary.lines()
    assert (dataset.about["import"]["layer"], dataset.about["import"]["is_truth"]) == ("truth", True)
    wrong = open_dataset(mix(noisy, tmp_path / "wrong", settings_of(), seed=3).folder)
    assert not any(
        row["source_clip"].startswith(row["tag"])
        for rows in source_rows(wrong).values()
        for row in rows
        if row["kind"] == "event"
    )
    assert (wrong.about["import"]["layer"], wrong.about["import"]["is_truth"]) == ("given", False)
    assert 'no label layer "trth"; did you mean "truth"?' in refused(
        noisy, tmp_path / "no", settings_of(), layer="trth"
    )


def test_a_clip_with_its_tag_s_ancestors_gives_events_of_all_its_tags(tmp_path):
    rows = [(f"{k}.wav", "Animal;Bark;Dog", f"g{k}", 0, sound("Bark", k)) for k in range(3)]
    rows += [("both.wav", "Dog;Car", "both", 0, sound("Bark", 9)), ("car.wav", "Car", "car", 0, sound("Bark", 8))]
    dataset = dataset_of(tmp_path, rows)
    asked = settings_of(validation_share=0, test_share=0, num_clips=12, max_events=1)
    summary = mix(dataset, tmp_path / "out", asked, seed=1)
    assert summary.passed_over == {"with several tags": 1}
    assert summary.missing_tags == {name: [] if name == "train" else list(dataset.vocabulary) for name in SPLITS}
    made = open_dataset(tmp_path / "out")
    sources, seen = source_rows(made), set()
    for clip, events in events_of(made).items():
        (tag,) = {row["tag"] for row in sources[clip] if row["kind"] == "event"}
        seen.add(tag)
        expected = ("Animal", "Bark", "Dog") if tag == "Bark" else ("Car",)
        times = {(onset, offset) for _, onset, offset in events}
        assert sorted(events) == sorted((name, *span) for name in expected for span in times)
    assert seen == {"Bark", "Car"}


def test_what_cannot_be_is_refused(sounds, hisses, tmp_path):
    assert refused(sounds, tmp_path / "out", settings_of(), seed=-1) == "the seed must be 0 or more, got -1"
    assert refused(sounds, tmp_path / "out", settings_of(), workers=0) == "workers must be 1 or more, got 0"
    assert "leave one of them out" in refused(
        sounds, tmp_path / "out", settings_of(background="none"), backgrounds=hisses
    )
    assert "test fold must be one of 0, 1, 2, got 9" in refused(sounds, tmp_path / "out", settings_of(), test_fold=9)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"min_events": 5}, "min_events must be at most max_events, got 5 and 4"),
        ({"min_snr_db": 31}, "min_snr_db must be at most max_snr_db, got 31 and 30"),
        ({"rate_hz": 88201}, "rate_hz above 65535 must be a multiple of 10, as FLAC holds no other, got 88201"),
        ({"test_share": 0.9}, "validation_share and test_share must be at most 1 together, got 0.2 and 0.9"),
        ({"background": "brown"}, "must be pink or none"),
        ({"clips": 3}, 'unknown key "clips" in settings; did you mean "clip_s"?'),
    ],
)
def test_settings_that_do_not_hold_are_refused(changed, message):
    with pytest.raises(InputError) as caught:
        settings_of(**changed)
    assert message in str(caught.value)


@pytest.mark.parametrize("rate_hz", [65535, 65540, 176400])
def test_flac_holds_the_rates_that_are_allowed(tmp_path, rate_hz):
    assert settings_of(rate_hz=rate_hz).rate_hz == rate_hz
    soundfile.write(tmp_path / "a.flac", np.zeros(10, np.int16), rate_hz, subtype="PCM_16")
    assert soundfile.info(tmp_path / "a.flac").samplerate == rate_hz


def test_every_setting_is_described():
    assert all(field.description for _, field in leaves(MixSettings))
    assert settings_from(MixSettings, values_of(MixSettings())) == MixSettings()
