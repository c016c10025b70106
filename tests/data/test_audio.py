"""Every trap that recordings hold is found, named, and counted; what can be used is read exactly."""

import builtins
import os
import re
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from earmark.data.audio import stretches
from earmark.data.audio.containers import container_of
from earmark.data.audio.problems import KINDS, AudioError, count_problems, problem_of
from earmark.data.audio.reading import blocks, inspect_audio, read_audio

RATE_HZ = 16000


def noise(seconds: float = 1.0, rate_hz: int = RATE_HZ, channels: int = 1, seed: int = 0) -> np.ndarray:
    """Noise well inside full scale, (sample,) or (sample, channel)."""
    shape = (round(seconds * rate_hz), channels)
    waveform = np.clip(0.1 * np.random.default_rng(seed).standard_normal(shape), -0.9, 0.9)
    return waveform[:, 0] if channels == 1 else waveform


def write(path: Path, waveform: np.ndarray, rate_hz: int = RATE_HZ, **how: str) -> Path:
    soundfile.write(path, waveform, rate_hz, **how)
    return path


def plainly_read(path: Path, rate_hz: int) -> np.ndarray:
    """The slow way: everything at once in float64, one call of soxr, rounded."""
    waveform, native_hz = soundfile.read(path, always_2d=True)
    mono = waveform.mean(axis=1).astype(np.float32)
    if native_hz != rate_hz:
        mono = soxr.resample(mono, native_hz, rate_hz, quality="HQ")
    return np.clip(np.rint(mono.astype(np.float64) * 32768), -32768, 32767).astype(np.int16)


def kinds(problems: list) -> list[str]:
    return [problem.kind for problem in problems]


def kind_of_error(path: Path, **how: float) -> str:
    with pytest.raises(AudioError) as caught:
        read_audio(path, RATE_HZ, **how)
    assert KINDS[caught.value.kind][0] == "left out"
    assert str(caught.value) == f"{caught.value.kind}: {caught.value.detail}"
    return caught.value.kind


def cut(path: Path, share: float) -> Path:
    target = path.with_name(f"cut{share}{path.suffix}")
    content = path.read_bytes()
    target.write_bytes(content[: int(len(content) * share)])
    return target


# What can be read


@pytest.mark.parametrize("native_hz", [8000, 11025, 16000, 22050, 44100, 48000, 96000])
@pytest.mark.parametrize("rate_hz", [16000, 32000])
def test_every_rate_is_read_as_the_plain_way_reads_it(tmp_path: Path, native_hz: int, rate_hz: int) -> None:
    path = write(tmp_path / "a.wav", noise(0.8, native_hz), native_hz)
    waveform, problems = read_audio(path, rate_hz)
    assert waveform.dtype == np.int16
    assert len(waveform) == round(0.8 * rate_hz)
    # Float32 sums of numbers 32768 times larger round differently now and then.
    assert np.abs(waveform.astype(int) - plainly_read(path, rate_hz)).max() <= 1
    assert problems == []


@pytest.mark.parametrize(
    ("suffix", "subtype"),
    [
        ("wav", "PCM_U8"),
        ("wav", "PCM_16"),
        ("wav", "PCM_24"),
        ("wav", "PCM_32"),
        ("wav", "FLOAT"),
        ("wav", "DOUBLE"),
        ("wav", "ALAW"),
        ("wav", "ULAW"),
        ("wav", "IMA_ADPCM"),
        ("wav", "GSM610"),
        ("rf64", "PCM_16"),
        ("flac", "PCM_S8"),
        ("flac", "PCM_16"),
        ("flac", "PCM_24"),
        ("ogg", "VORBIS"),
        ("ogg", "OPUS"),
        ("mp3", "MPEG_LAYER_III"),
        ("aiff", "PCM_16"),
        ("au", "PCM_16"),
        ("caf", "PCM_16"),
        ("w64", "PCM_16"),
    ],
)
def test_every_coding_is_read_as_the_plain_way_reads_it(tmp_path: Path, suffix: str, subtype: str) -> None:
    path = write(tmp_path / f"a.{suffix}", noise(), subtype=subtype)
    waveform, problems = read_audio(path, RATE_HZ)
    facts, _ = inspect_audio(path)
    assert facts.subtype == subtype
    assert facts.num_samples == len(waveform)
    assert facts.duration_s == len(waveform) / RATE_HZ
    if subtype != "GSM610":
        assert np.abs(waveform.astype(int) - plainly_read(path, RATE_HZ)).max() <= 1
    assert np.corrcoef(waveform[:RATE_HZ], noise())[0, 1] > 0.5
    assert problems == []


@pytest.mark.parametrize("channels", [2, 3, 6, 8])
@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
def test_channels_are_averaged_and_it_is_said(tmp_path: Path, channels: int, subtype: str) -> None:
    path = write(tmp_path / "a.wav", noise(channels=channels), subtype=subtype)
    waveform, problems = read_audio(path, RATE_HZ)
    assert np.abs(waveform.astype(int) - plainly_read(path, RATE_HZ)).max() <= 1
    assert kinds(problems) == ["downmixed"]
    assert problems[0].detail == f"{channels} channels"
    assert kinds(inspect_audio(path)[1]) == ["downmixed"]


def test_channels_of_opposite_sign_are_silence(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", np.stack([noise(), -noise()], axis=1), subtype="FLOAT")
    assert kinds(read_audio(path, RATE_HZ)[1]) == ["downmixed", "silent"]


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS", "MPEG_LAYER_III", "FLOAT"])
def test_peaks_beyond_full_scale_are_limited_not_wrapped(tmp_path: Path, subtype: str) -> None:
    # libsndfile lets Vorbis and Opus wrap to the other sign when asked for 16 bit.
    time = np.arange(RATE_HZ) / RATE_HZ
    suffix = {"FLOAT": "wav", "MPEG_LAYER_III": "mp3"}.get(subtype, "ogg")
    path = write(tmp_path / f"a.{suffix}", 1.4 * np.sin(2 * np.pi * 200 * time), subtype=subtype)
    waveform, problems = read_audio(path, RATE_HZ)
    assert waveform.max() == 32767
    assert waveform.min() == -32768
    assert np.abs(np.diff(waveform.astype(int))).max() < 20000
    assert "clipped" in kinds(problems)


def test_half_values_are_rounded_to_the_nearest(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", np.array([0.4, 0.6, -0.6, 100.2, 1e9]) / 32768, subtype="DOUBLE")
    assert read_audio(path, RATE_HZ)[0].tolist() == [0, 1, -1, 100, 32767]


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3", "aiff"])
@pytest.mark.parametrize("rate_hz", [16000, 22050])
def test_a_stretch_is_what_a_file_cut_there_would_give(tmp_path: Path, suffix: str, rate_hz: int) -> None:
    path = write(tmp_path / f"a.{suffix}", noise(5.0))
    everything, _ = soundfile.read(path, dtype="float32")
    for onset, offset in ((0.0, 1.0), (1.25, 2.0), (3.0003, 5.0), (2.5, None)):
        stop = None if offset is None else round(offset * RATE_HZ)
        alone = write(tmp_path / "alone.wav", everything[round(onset * RATE_HZ) : stop], subtype="FLOAT")
        waveform, problems = read_audio(path, rate_hz, onset, offset)
        expected, _ = read_audio(alone, rate_hz)
        # Seeking in MP3 leaves differences under a hundredth of a 16-bit step, which rounding may show.
        assert np.abs(waveform.astype(int) - expected).max() <= (1 if suffix == "mp3" else 0)
        assert problems == []


def test_a_stretch_reads_no_more_than_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.flac", noise(60.0))
    asked = []
    read = soundfile.SoundFile.read
    monkeypatch.setattr(soundfile.SoundFile, "read", lambda file, n, **how: asked.append(n) or read(file, n, **how))
    read_audio(path, RATE_HZ, 30.0, 31.0)
    assert sum(asked) == RATE_HZ


@pytest.mark.parametrize("rate_hz", [16000, 22050, 8000])
@pytest.mark.parametrize("block_s", [0.1, 1.0, 2.7, 100.0])
def test_blocks_put_together_are_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rate_hz: int, block_s: float
) -> None:
    monkeypatch.setattr(stretches, "BLOCK_FRAMES", 5000)
    monkeypatch.setattr(stretches, "PIECE_FRAMES", 3000)
    path = write(tmp_path / "a.ogg", noise(5.0, channels=2))
    problems: list = []
    parts = list(blocks(path, rate_hz, block_s, problems))
    monkeypatch.undo()
    whole, expected_problems = read_audio(path, rate_hz)
    assert (np.concatenate(parts) == whole).all()
    assert {len(part) for part in parts[:-1]} <= {round(block_s * rate_hz)}
    assert 0 < len(parts[-1]) <= round(block_s * rate_hz)
    assert problems == expected_problems


def test_memory_does_not_grow_with_the_recording(tmp_path: Path) -> None:
    path = tmp_path / "long.flac"
    with soundfile.SoundFile(path, "w", 8000, 1) as file:
        for _ in range(20):
            file.write(np.zeros(8000 * 60, np.int16))
    largest = max(part.base.nbytes if part.base is not None else part.nbytes for part in blocks(path, 8000, 10.0))
    assert largest <= 2 * 2 * (stretches.PIECE_FRAMES + 8000 * 10)


def test_two_recordings_read_side_by_side_do_not_mix(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{seed}.wav", noise(40.0, seed=seed), subtype="FLOAT") for seed in (1, 2)]
    together = list(zip(*(blocks(path, RATE_HZ, 1.0) for path in paths), strict=True))
    for number, path in enumerate(paths):
        assert (np.concatenate([pair[number] for pair in together]) == read_audio(path, RATE_HZ)[0]).all()


def test_blocks_need_a_length(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="block_s must be at least one sample"):
        next(blocks(write(tmp_path / "a.wav", noise()), RATE_HZ, 0.0))


# Headers that do not tell


@pytest.mark.parametrize("size", [0, 0x7FFFF000, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_wav_written_to_a_pipe_is_read_to_its_end(tmp_path: Path, size: int) -> None:
    path = write(tmp_path / "a.wav", noise())
    content = bytearray(path.read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = struct.pack("<I", size)
    content[4:8] = struct.pack("<I", min(size, 0xFFFFFFFF))
    piped = tmp_path / "piped.wav"
    piped.write_bytes(content)
    assert (read_audio(piped, RATE_HZ)[0] == read_audio(path, RATE_HZ)[0]).all()
    assert inspect_audio(piped)[0].num_samples == RATE_HZ
    assert (read_audio(piped, RATE_HZ, 0.5, 0.75)[0] == read_audio(path, RATE_HZ, 0.5, 0.75)[0]).all()


def test_a_flac_written_to_a_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", noise(2.5))
    content = bytearray(path.read_bytes())
    # The number of samples: the last 36 bits before the MD5 sum.
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    piped = tmp_path / "piped.flac"
    piped.write_bytes(content)
    assert inspect_audio(piped)[0].num_samples == 2.5 * RATE_HZ
    assert (read_audio(piped, RATE_HZ)[0] == read_audio(path, RATE_HZ)[0]).all()
    assert (read_audio(piped, RATE_HZ, 1.0)[0] == read_audio(path, RATE_HZ, 1.0)[0]).all()
    assert kind_of_error(cut(piped, 0.7)) == "truncated"


def encode(path: Path, codec: str, waveform: np.ndarray, rate_hz: int, container: str | None = None, **how) -> Path:
    """Writes with FFmpeg's libraries."""
    av = pytest.importorskip("av")
    with av.open(path, "w", format=container, options={"write_xing": str(int(how.pop("xing", 1)))}) as file:
        stream = file.add_stream(codec, rate=rate_hz)
        stream.layout = "mono"
        if how.pop("vbr", False):
            stream.codec_context.flags |= 2
            stream.codec_context.global_quality = 4 * 118
        frame = av.AudioFrame.from_ndarray(waveform[None].astype(np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = rate_hz, 0
        context = stream.codec_context
        fit = av.AudioResampler(context.format, "mono", rate_hz, frame_size=context.frame_size or 1024)
        for part in (*fit.resample(frame), *fit.resample(None)):
            file.mux(stream.encode(part))
        file.mux(stream.encode(None))
    return path


def test_an_mp3_that_does_not_tell_its_length_is_read_to_its_end(tmp_path: Path) -> None:
    # Loud first: from the first frames' bit rate libsndfile guesses a sixth of this one, and stops there.
    waveform = np.concatenate([noise(10.0, 44100), 1e-4 * noise(10.0, 44100)])
    path = encode(tmp_path / "a.mp3", "libmp3lame", waveform, 44100, vbr=True, xing=0)
    assert len(soundfile.read(path)[0]) < 0.5 * len(waveform)
    assert inspect_audio(path)[0].duration_s == pytest.approx(20.0, abs=0.06)
    assert len(read_audio(path, RATE_HZ)[0]) == pytest.approx(20.0 * RATE_HZ, abs=0.06 * RATE_HZ)
    constant = encode(tmp_path / "b.mp3", "libmp3lame", waveform, 44100, xing=0)
    assert len(read_audio(constant, RATE_HZ)[0]) == pytest.approx(20.0 * RATE_HZ, abs=0.06 * RATE_HZ)
    assert kind_of_error(cut(constant, 0.5)) == "truncated"


# Names and endings


@pytest.mark.parametrize("name", ["-", "-a.wav", "--help.wav", "a.raw", "sub space/ä ö.wav", "no_ending", "a.wav.1"])
def test_odd_names_are_names_like_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path(name)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(write(tmp_path / "plain.wav", noise()).read_bytes())
    waveform, problems = read_audio(path, RATE_HZ)
    assert (waveform == read_audio(tmp_path / "plain.wav", RATE_HZ)[0]).all()
    assert problems == []


@pytest.mark.parametrize(("inside", "name"), [("mp3", "a.wav"), ("flac", "a.mp3"), ("wav", "a.flac"), ("ogg", "A.WAV")])
def test_a_wrong_extension_is_named_and_the_content_read(tmp_path: Path, inside: str, name: str) -> None:
    path = write(tmp_path / f"right.{inside}", noise())
    wrong = path.rename(tmp_path / name)
    waveform, problems = read_audio(wrong, RATE_HZ)
    assert len(waveform) == RATE_HZ
    assert kinds(problems) == kinds(inspect_audio(wrong)[1]) == ["wrong extension"]
    assert problems[0].detail == f"{wrong.suffix} holds {inside.upper()}"
    assert (problems[0].path, problems[0].outcome) == (str(wrong), "kept")


def test_opus_in_ogg_is_no_wrong_extension(tmp_path: Path) -> None:
    content = write(tmp_path / "a.ogg", noise(), subtype="OPUS").read_bytes()
    (tmp_path / "a.opus").write_bytes(content)
    assert read_audio(tmp_path / "a.opus", RATE_HZ)[1] == read_audio(tmp_path / "a.ogg", RATE_HZ)[1] == []


def test_mp3_in_a_wav_container_is_read(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.wav", "libmp3lame", noise(3.0, 44100), 44100, container="wav")
    waveform, problems = read_audio(path, RATE_HZ)
    assert len(waveform) == pytest.approx(3.0 * RATE_HZ, abs=0.1 * RATE_HZ)
    assert problems == []
    assert kind_of_error(cut(path, 0.6)) == "truncated"


# What cannot be read


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "link.wav").symlink_to(tmp_path / "gone.wav")
    (tmp_path / "circle.wav").symlink_to(tmp_path / "circle.wav")
    (tmp_path / "folder.wav").mkdir()
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "file").touch()
    assert kind_of_error(tmp_path / "gone.wav") == "missing"
    assert kind_of_error(tmp_path / "file" / "a.wav") == "missing"
    assert kind_of_error(tmp_path / "link.wav") == "dangling link"
    assert kind_of_error(tmp_path / "circle.wav") == "dangling link"
    assert kind_of_error(tmp_path / "folder.wav") == "directory"
    assert kind_of_error(tmp_path / "pipe.wav") == "not a file"


def test_a_good_link_is_followed(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", noise())
    (tmp_path / "link.wav").symlink_to(tmp_path / "a.wav")
    assert read_audio(tmp_path / "link.wav", RATE_HZ)[1] == []


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.wav", noise())

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    # Root may read everything, so that changing the file's mode is no test.
    monkeypatch.setattr(os, "open", refuse)
    assert kind_of_error(path) == "permission denied"


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3", "m4a", "txt"])
def test_no_bytes_are_empty(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"a.{suffix}").touch()
    assert kind_of_error(tmp_path / f"a.{suffix}") == "empty"


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "aiff"])
def test_no_samples_are_empty(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"a.{suffix}", np.empty(0))
    assert kind_of_error(path) == "empty"
    with pytest.raises(AudioError, match=r"^empty: "):
        inspect_audio(path)
    with pytest.raises(AudioError, match=r"^empty: "):
        next(blocks(path, RATE_HZ, 1.0))


def test_a_wav_without_samples_but_with_a_chunk_after_them_is_empty(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", np.empty(0))
    path.write_bytes(path.read_bytes() + b"LIST" + struct.pack("<I", 8) + bytes(8))
    assert kind_of_error(path) == "empty"


def test_too_short_for_a_sample_is_empty(tmp_path: Path) -> None:
    assert kind_of_error(write(tmp_path / "a.wav", np.full(1, 0.5), 96000)) == "empty"


@pytest.mark.parametrize("content", [b"version https://git-lfs.github.com/spec/v1\n" * 20, os.urandom(20000), b"x"])
@pytest.mark.parametrize("suffix", ["flac", "wav", "mp3", "ogg", ""])
def test_what_is_no_sound_is_unreadable(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(b"\x01" + content)
    assert kind_of_error(path) == "unreadable"


@pytest.mark.parametrize("share", [0.35, 0.6, 0.9, 0.97])
@pytest.mark.parametrize(
    ("suffix", "subtype"),
    [
        ("ogg", "VORBIS"),
        ("ogg", "OPUS"),
        ("flac", "PCM_16"),
        ("wav", "PCM_16"),
        ("wav", "FLOAT"),
        ("rf64", "PCM_16"),
        ("aiff", "PCM_16"),
        ("au", "PCM_16"),
        ("mp3", "MPEG_LAYER_III"),
    ],
)
def test_a_cut_file_is_truncated(tmp_path: Path, suffix: str, subtype: str, share: float) -> None:
    path = write(tmp_path / f"a.{suffix}", noise(6.0), subtype=subtype)
    assert kind_of_error(cut(path, share)) == "truncated"
    with pytest.raises(AudioError, match=r"^truncated: "):
        list(blocks(cut(path, share), RATE_HZ, 1.0))


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_an_ogg_cut_between_pages_is_truncated(tmp_path: Path, subtype: str) -> None:
    # soundfile reads each of these without a word.
    content = write(tmp_path / "a.ogg", noise(5.0), subtype=subtype).read_bytes()
    pages = [match.start() for match in re.finditer(b"OggS\0", content)]
    assert len(pages) > 4
    for end in pages[3:]:
        (tmp_path / "cut.ogg").write_bytes(content[:end])
        assert kind_of_error(tmp_path / "cut.ogg") == "truncated"
        with pytest.raises(AudioError, match="not marked as the end"):
            inspect_audio(tmp_path / "cut.ogg")


def test_an_ogg_with_a_hole_is_truncated(tmp_path: Path) -> None:
    content = write(tmp_path / "a.ogg", noise(20.0)).read_bytes()
    pages = [match.start() for match in re.finditer(b"OggS\0", content)]
    (tmp_path / "hole.ogg").write_bytes(content[: pages[4]] + content[pages[8] :])
    assert kind_of_error(tmp_path / "hole.ogg") == "truncated"


def test_bytes_after_the_end_do_no_harm(tmp_path: Path) -> None:
    for suffix in ("ogg", "wav", "flac", "mp3"):
        path = write(tmp_path / f"a.{suffix}", noise())
        path.write_bytes(path.read_bytes() + b"TAG" + bytes(125))
        assert len(read_audio(path, RATE_HZ)[0]) == RATE_HZ


def test_a_wav_size_off_by_a_few_bytes_is_no_cut(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", noise())
    path.write_bytes(path.read_bytes()[:-6])
    assert len(read_audio(path, RATE_HZ)[0]) == RATE_HZ - 3


def test_a_damaged_flac_is_truncated(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", noise(5.0))
    content = bytearray(path.read_bytes())
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    path.write_bytes(content)
    assert kind_of_error(path) == "truncated"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_values_that_are_not_finite_are_found(tmp_path: Path, value: float, subtype: str) -> None:
    waveform = noise(channels=2)
    waveform[12000, 1] = value
    path = write(tmp_path / "a.wav", waveform, subtype=subtype)
    assert kind_of_error(path) == "not finite"
    with pytest.raises(AudioError, match=r"at 0\.75 s"):
        read_audio(path, 44100)
    # A stretch is judged by itself.
    assert kinds(read_audio(path, RATE_HZ, 0.0, 0.7)[1]) == ["downmixed"]


def test_stretches_outside_the_recording(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ogg", noise(2.0))
    assert kind_of_error(path, onset_s=2.0, offset_s=3.0) == "outside recording"
    assert kind_of_error(path, onset_s=5.0) == "outside recording"
    assert kind_of_error(path, onset_s=1.0, offset_s=1.0) == "empty"
    waveform, problems = read_audio(path, RATE_HZ, 1.5, 2.5)
    assert len(waveform) == 0.5 * RATE_HZ
    assert [(p.kind, p.detail) for p in problems] == [
        ("shorter than said", "the recording ends 0.50 s before the clip's offset")
    ]
    assert read_audio(path, RATE_HZ, 1.0, 2.04)[1] == []


# What is kept, and named


def test_silence_and_its_dither_are_named(tmp_path: Path) -> None:
    for name, waveform in {
        "zeros": np.zeros(RATE_HZ, np.int16),
        "dither": np.random.default_rng(0).integers(-1, 2, RATE_HZ).astype(np.int16),
    }.items():
        assert kinds(read_audio(write(tmp_path / f"{name}.wav", waveform), RATE_HZ)[1]) == ["silent"]
    faint = np.zeros(RATE_HZ, np.int16)
    faint[5] = 2
    assert read_audio(write(tmp_path / "faint.wav", faint), RATE_HZ)[1] == []


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "FLOAT", "ALAW", "ULAW"])
def test_clipping_is_named_from_a_thousandth_on(tmp_path: Path, subtype: str) -> None:
    few, many, scattered = noise(), noise(), noise()
    many[100:118] = 1.0
    few[100:117] = 1.0
    scattered[::2] = 1.0
    found = [
        kinds(read_audio(write(tmp_path / f"{number}.wav", waveform, subtype=subtype), RATE_HZ)[1])
        for number, waveform in enumerate((many, few, scattered))
    ]
    assert found == [["clipped"], [], []]


def test_runs_at_full_scale_are_counted_across_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waveform = noise()
    waveform[4990:5008] = -1.0
    path = write(tmp_path / "a.wav", waveform)
    for piece in (7, 100, 4992, 4999, 5000, 1 << 16):
        monkeypatch.setattr(stretches, "PIECE_FRAMES", piece)
        assert [p.detail for p in read_audio(path, RATE_HZ)[1]] == ["0.10 % of the samples"]


def test_problems_know_their_outcome_and_are_counted() -> None:
    assert AudioError("missing").problem("a.wav", "a") == problem_of("missing", "a.wav", "a")
    assert {outcome for outcome, _ in KINDS.values()} == {"left out", "kept"}
    assert all(meaning for _, meaning in KINDS.values())
    assert count_problems([]) == ""


# The media extra


@pytest.mark.parametrize(
    ("name", "codec"), [("a.m4a", "aac"), ("a.mp4", "aac"), ("a.webm", "libopus"), ("a.aac", "aac")]
)
def test_media_files_are_read_by_pyav(tmp_path: Path, name: str, codec: str) -> None:
    path = encode(tmp_path / name, codec, noise(3.0, 48000), 48000)
    waveform, problems = read_audio(path, RATE_HZ)
    facts, _ = inspect_audio(path)
    assert len(waveform) == pytest.approx(3.0 * RATE_HZ, abs=0.06 * RATE_HZ)
    assert facts.duration_s == pytest.approx(3.0, abs=0.06)
    assert problems == []
    assert (np.concatenate(list(blocks(path, RATE_HZ, 0.4))) == waveform).all()
    native, _ = read_audio(path, 48000)
    assert (read_audio(path, 48000, 1.0, 2.0)[0] == native[48000:96000]).all()
    assert kind_of_error(path, onset_s=10.0) == "outside recording"


def test_an_m4a_has_the_length_that_its_header_says(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.m4a", "aac", noise(3.0, 44100), 44100)
    assert len(read_audio(path, 44100)[0]) == inspect_audio(path)[0].num_samples == 3 * 44100


def test_cut_media_files_are_left_out(tmp_path: Path) -> None:
    webm = encode(tmp_path / "a.webm", "libopus", noise(3.0, 48000), 48000)
    assert kind_of_error(cut(webm, 0.6)) == "truncated"
    # What an m4a holds is told at its end.
    m4a = encode(tmp_path / "a.m4a", "aac", noise(3.0, 48000), 48000)
    assert kind_of_error(cut(m4a, 0.6)) == "unreadable"


def test_without_pyav_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.m4a"
    path.write_bytes(b"\0\0\0\x20ftypM4A " + bytes(100))
    real_import = builtins.__import__

    def without_av(name: str, *rest: object, **more: object) -> object:
        if name == "av":
            raise ImportError(name)
        return real_import(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without_av)
    assert kind_of_error(path) == "needs PyAV"
    with pytest.raises(AudioError, match=r"pip install 'earmark\[media\]'"):
        inspect_audio(path)


@pytest.mark.parametrize(
    ("head", "container"),
    [
        (b"RIFF\0\0\0\0AVI ", "AVI"),
        (b"FORM\0\0\0\0AIFC", "AIFF"),
        (b"\xff\xf1" + bytes(10), "AAC"),
        (b"\xff\xfb" + bytes(10), "MP3"),
        (b"ID3\x04" + bytes(8), "MP3"),
        (b"", None),
        (b"\xff", None),
    ],
)
def test_containers_by_their_first_bytes(head: bytes, container: str | None) -> None:
    assert container_of(head) == container
