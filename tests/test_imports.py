"""Who may import whom. The directions are what keeps the methods free of frameworks and the drawing free of networks."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "convscope"
FRAMEWORKS = {
    "torch",
    "keras",
    "tensorflow",
    "jax",
    "onnx",
    "onnxruntime",
    "torchvision",
    "timm",
    "safetensors",
    "tf_keras",
    "transformers",
}
# What the files of a part may import of the project besides their own part. Parts that are not here may import anything.
ALLOWED = {
    "errors": set(),
    "paths": {"errors"},
    "core": {"errors"},
    "engines": {"core", "downloads", "errors"},
    "downloads": {"errors"},
    "conformance": {"core", "errors"},
    "methods": {"core", "errors"},
    "pictures": {"paths", "errors", "preprocess"},
    "preprocess": {"paths", "errors", "pictures"},
    "draw": {"paths", "errors"},
    "site": {"errors", "draw"},
    "layers": {"core", "errors", "show"},
    "show": {"draw", "errors", "results", "studies"},
    "demo": {"errors"},
    "progress": set(),
    "results": {"paths", "core", "errors", "methods", "pictures", "preprocess", "draw", "show", "studies"},
    "studies": {"core", "errors", "methods", "pictures", "results", "draw", "site"},
    "scan": {"paths", "core", "draw", "errors", "methods", "pictures", "preprocess", "results", "show", "site"},
    "network": {
        "core",
        "errors",
        "explaining",
        "layers",
        "methods",
        "pictures",
        "predicting",
        "preprocess",
        "results",
        "reweighing",
        "scan",
        "why",
    },
    "predicting": {"core", "methods"},
    "wrapped": {"core"},
    "edited": {"core", "wrapped"},
    "one_input": {"core", "wrapped"},
    "filling": {"core", "errors", "methods", "pictures"},
    "intervening": {"core", "edited", "errors", "methods", "network", "pictures", "results"},
    "ablating": {"core", "errors", "methods", "network", "pictures", "results", "scan"},
    "checking": {"core", "errors", "methods", "network", "pictures", "results"},
    "why": {"ablating", "errors", "explaining", "intervening", "methods", "network", "results"},
    "explaining": {"core", "errors", "filling", "methods", "network", "one_input", "pictures", "results"},
}


def imports(file: Path) -> set[tuple[str, ...]]:
    """Dotted names that a file imports, those of the project without its own name and as ("", part)."""
    package = ("convscope", *file.relative_to(SOURCE).parts[:-1])
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {tuple(alias.name.split(".")) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = (*base, *(node.module.split(".") if node.module else ()))
            found |= {(*module, alias.name) for alias in node.names} if module == ("convscope",) else {module}
    return found


def files() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def part_of(file: Path) -> str:
    return file.relative_to(SOURCE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("file", files(), ids=lambda file: str(file.relative_to(SOURCE)))
def test_only_engines_import_frameworks(file):
    found = {name[0] for name in imports(file)} & FRAMEWORKS
    assert part_of(file) == "engines" or not found


@pytest.mark.parametrize("file", files(), ids=lambda file: str(file.relative_to(SOURCE)))
def test_imports_point_one_way(file):
    part = part_of(file)
    of_project = {name[1] for name in imports(file) if name[0] == "convscope" and len(name) > 1}
    if part in ALLOWED:
        assert of_project - ALLOWED[part] - {part} == set()


def test_the_check_sees_an_import_that_is_wrong(tmp_path, monkeypatch):
    wrong = tmp_path / "methods" / "wrong.py"
    wrong.parent.mkdir()
    wrong.write_text("def f():\n    from ..draw import Sheet\n    import torch.nn\n")
    monkeypatch.setattr(f"{__name__}.SOURCE", tmp_path)
    assert imports(wrong) == {("convscope", "draw"), ("torch", "nn")}


def test_importing_convscope_imports_nothing_heavy():
    heavy = FRAMEWORKS | {"matplotlib", "PIL", "numpy", "jinja2", "typer", "rich"}
    code = f"import sys, convscope; print(sorted({heavy!r} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_at_most_fifteen_public_names_and_each_is_there():
    import convscope

    assert len(convscope.__all__) <= 15
    assert all(getattr(convscope, name) is not None for name in convscope.__all__)
