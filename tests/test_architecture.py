"""Imports go one way, every setting is read, and the documents name what is there."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

from earmark.config import leaves, settings_from, values_of
from earmark.recipes import RECIPES
from tests.conftest import REPOSITORY

PACKAGE = REPOSITORY / "earmark"

# What each part may import beside itself; a name stands for everything under it.
GROUND = {"errors", "timing", "files", "config", "figures", "progress", "prefetch", "tensor_files", "environment"}
ALLOWED = {
    "errors": set(),
    "timing": set(),
    "prefetch": set(),
    "progress": set(),
    "files": {"errors"},
    "config": {"errors"},
    "figures": {"files"},
    "tensor_files": {"errors", "files"},
    "environment": {"errors"},
    "metrics": {"errors"},
    "losses": set(),
    "data": GROUND,
    "features": {"errors", "timing", "config"},
    "models": GROUND | {"features", "losses", "data.vocabulary", "data.chunking"},
    "training": GROUND | {"data", "losses", "models", "features", "tag_map"},
    "scores": GROUND | {"data", "models"},
    "relabel": GROUND | {"data", "scores.store", "scores.framewise", "clip_figure"},
    "reports": GROUND,
    "clip_figure": GROUND | {"data", "features"},
    "tag_map": GROUND | {"data"},
    "waveform_batches": {"models"},
    "events": GROUND
    | {"data", "metrics", "models", "scores", "clip_figure", "evaluation", "evaluation_summary"}
    | {"tagging", "tagging_output", "waveform_batches"},
    "labels": GROUND | {"data", "metrics", "relabel", "clip_figure", "events.reference"},
    "audit": GROUND | {"data", "features", "metrics", "clip_figure", "scores.store", "reports.figures_page"},
    "compared_runs": GROUND | {"scores.evaluated"},
    "comparison": GROUND | {"compared_runs", "metrics", "scores.evaluated", "reports.metric_names"},
    "tag_pair_figures": GROUND | {"metrics", "evaluation_summary"},
    "evaluation_context": GROUND | {"data", "metrics", "models", "scores"},
    "evaluation_figures": GROUND | {"metrics", "scores.evaluated", "evaluation_summary", "tag_pair_figures"},
    "evaluation_clips": GROUND | {"data", "metrics", "models", "scores", "clip_figure", "evaluation_summary"},
    "evaluation": GROUND
    | {"data", "metrics", "models", "scores", "tag_map"}
    | {"evaluation_summary", "evaluation_context", "evaluation_figures", "evaluation_clips"},
    "evaluation_summary": GROUND,
    "averaging": GROUND | {"data", "metrics", "models", "scores", "evaluation"},
    "tagging": GROUND | {"data.audio", "models", "scores", "waveform_batches"},
    "tagging_output": {"tagging"},
}


def part_of(module: str) -> str:
    return module.removeprefix("earmark.").split(".")[0]


def imports_of(path: Path) -> set[str]:
    """The project's modules that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {
                name if (PACKAGE.parent / (name.replace(".", "/") + ".py")).exists() else node.module for name in whole
            }
    return {name for name in found if name.startswith("earmark.")}


@pytest.mark.parametrize("part", sorted(ALLOWED))
def test_imports_go_one_way(part: str) -> None:
    files = sorted((PACKAGE / part).rglob("*.py")) if (PACKAGE / part).is_dir() else [PACKAGE / f"{part}.py"]
    assert files
    for path in files:
        for name in imports_of(path):
            inside = name.removeprefix("earmark.")
            fits = part_of(name) == part or any(inside == ok or inside.startswith(f"{ok}.") for ok in ALLOWED[part])
            assert fits, f"{path.relative_to(REPOSITORY)} imports {name}"


def test_every_part_is_in_the_table() -> None:
    parts = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert parts - set(ALLOWED) == {"__init__", "__main__", "cli", "recipes"}


def read_names() -> set[str]:
    """The names that code reads from something called settings (or by the name of a group of them)."""
    holder = re.compile(r"(^|\.)(self|s|settings|schedule|model|fit|augmentation)$")
    return {
        node.attr
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and holder.search(ast.unparse(node.value))
    }


@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_every_setting_is_read_described_and_unique(recipe: str) -> None:
    settings = RECIPES[recipe].settings
    names = [path[-1] for path, _ in leaves(settings)]
    assert len(names) == len(set(names)), "settings are set by their own name, so it is unique"
    unread = set(names) - read_names()
    assert not unread
    assert all(field.description for _, field in leaves(settings))
    assert settings_from(settings, values_of(settings())) == settings()


def test_a_recipe_is_short_and_modules_are_of_a_readable_size() -> None:
    for path in PACKAGE.rglob("*.py"):
        limit = 120 if path.stem in RECIPES else 200 if path.name == "loop.py" else 330
        assert len(path.read_text("utf-8").splitlines()) <= limit, path


def test_the_project_speaks_of_itself_alone() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    for name in listed.splitlines():
        path = REPOSITORY / name
        if path.suffix in (".py", ".md", ".toml", ".txt", ".html", ".yaml", "") and path.is_file():
            text = path.read_text("utf-8", errors="ignore")
            assert not re.search(r"(?<![\w.])/(work|root|opt)/", text), name


def test_documents_link_to_files_that_are_there() -> None:
    for page in [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_commands_in_documents_are_verbs_with_options_that_exist() -> None:
    from typer.main import get_command

    from earmark.cli import app

    verbs = get_command(app).commands
    for page in [REPOSITORY / "README.md", *(REPOSITORY / "docs").rglob("*.md")]:
        for line in re.findall(r"^\s*(?:\S*/)?earmark (.+)$", page.read_text("utf-8"), flags=re.MULTILINE):
            words = line.split("#")[0].split()
            assert words[0] in verbs, f"{page.name}: earmark {line}"
            options = {name for parameter in verbs[words[0]].params for name in parameter.opts}
            for word in words[1:]:
                assert not word.startswith("-") or word == "-" or word in options, f"{page.name}: earmark {line}"
