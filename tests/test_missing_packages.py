"""A skip because of a missing package is a failure, however it is written, and nothing else is."""

from __future__ import annotations

import re

import pytest

from support.missing_packages import REMEDY, extra_packages, is_for_a_missing_package

pytest_plugins = ["pytester"]

WAYS = {
    "import in a test": """
        import pytest
        def test_it():
            pytest.importorskip("no_such_package")
        """,
    "import of a module": """
        import pytest
        peer = pytest.importorskip("no_such_package", reason="no_such_package belongs to an extra, not installed")
        def test_it():
            pass
        """,
    "mark": """
        import pytest
        @pytest.mark.skipif(True, reason="the store is played by moto")
        def test_it():
            pass
        """,
    "fixture": """
        import pytest
        @pytest.fixture
        def peer():
            pytest.skip("numba is not installed")
        def test_it(peer):
            pass
        """,
}


OTHER_REASONS = [
    "the output has no rows and columns: its places are scores",
    "the gradient of a root is infinite at 0, where torch knows no number either",
    "this Pillow was built without AVIF",
    "Chromium is not installed",
    "Node is not installed: types are not checked",
    "no disk can be mounted: must be superuser to use mount",
    "the trained network lies in ../shared/data, which is absent",
]


def run(pytester: pytest.Pytester, *options: str) -> pytest.RunResult:
    return pytester.runpytest_inprocess("-p", "no:cacheprovider", "-rf", *options)


@pytest.fixture
def ways(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makepyfile(**{f"test_{name.replace(' ', '_')}": code for name, code in WAYS.items()})
    return pytester


def test_every_way_to_skip_for_a_package_fails(ways: pytest.Pytester) -> None:
    found = run(ways, "-p", "support.missing_packages", "--continue-on-collection-errors")
    assert found.ret != 0
    assert found.parseoutcomes() == {"failed": 1, "errors": 3}
    said = " ".join(found.stdout.str().split())
    assert said.count("skipped because a package is missing: ") >= len(WAYS)
    assert REMEDY in said


def test_without_the_plugin_the_same_are_skips(ways: pytest.Pytester) -> None:
    found = run(ways)
    assert (found.ret, found.parseoutcomes()) == (0, {"skipped": len(WAYS)})


def test_other_reasons_expected_failures_and_what_passes_are_left_alone(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(f"""
        import pytest
        @pytest.mark.parametrize("reason", {OTHER_REASONS!r})
        def test_other(reason):
            pytest.skip(reason)
        @pytest.mark.xfail(reason="moto is not installed")
        def test_known():
            assert False
        def test_fine():
            pass
        """)
    found = run(pytester, "-p", "support.missing_packages")
    assert (found.ret, found.parseoutcomes()) == (0, {"skipped": len(OTHER_REASONS), "xfailed": 1, "passed": 1})


def test_packages_of_the_extras_are_known_by_the_names_that_are_imported() -> None:
    assert {"moto", "ray", "captum", "torchinfo", "torchlens", "timm", "skimage"} <= extra_packages()
    assert extra_packages().isdisjoint({"torch", "numpy", "featmap"})


@pytest.mark.parametrize("name", ["Captum", "torchlens", "moto", "skimage"])
def test_a_reason_that_names_a_package_of_an_extra_is_about_it(name: str) -> None:
    assert is_for_a_missing_package(f"compared with {name}, which is absent")
    assert not is_for_a_missing_package("compared with nothing, which is absent")


def test_the_plugin_is_active_in_this_very_run(request: pytest.FixtureRequest) -> None:
    names = [name for name, _ in request.config.pluginmanager.list_name_plugin()]
    assert any(re.fullmatch(r"support\.missing_packages", name) for name in names)
