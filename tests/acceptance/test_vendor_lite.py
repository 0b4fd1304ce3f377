"""The C++ program with MindSpore Lite as its vendor's tarball is laid out, of which only the names are real."""

from pathlib import Path

from tests.cxx_builds import SOURCES, run, skip_without_packages

CONVERTER = """
namespace mindspore {
class Converter { public: int Convert(); };
int Converter::Convert() { return 0; }
}
"""


def _tarball(folder: Path) -> Path:
    home = folder / "mindspore-lite-2.4.0-linux-x64"
    for name in ("runtime/include/api/model.h", "runtime/lib/libmindspore-lite.so", "tools/converter/lib/converter.cc"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).touch()
    lib = home / "tools/converter/lib"
    (lib / "converter.cc").write_text(CONVERTER)
    for name in ("mindspore_converter", "mindspore_core"):
        run("c++", "-shared", "-fPIC", str(lib / "converter.cc"), "-o", str(lib / f"lib{name}.so"))
    return home


def test_of_the_vendor_s_release_only_the_program_is_built(tmp_path: Path) -> None:
    """Its own converter_lite converts, and the headers of its converter's library lie elsewhere and may differ."""
    skip_without_packages()
    build, home = tmp_path / "build", _tarball(tmp_path)
    run("cmake", "-S", str(SOURCES), "-B", str(build), "-DBUILD_TESTING=OFF", f"-DLITE_HOME={home}")
    rules = {path.parent.name: path.read_text() for path in build.rglob("flags.make")}
    assert sorted(rules) == ["erfnet_infer.dir", "erfnet_infer_core.dir"]
    assert 'ERFNET_LITE_VERSION=\\"2.4.0\\"' in rules["erfnet_infer.dir"]
