"""Plans through JSON and files, and what is no plan."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from erfnet_jobs.errors import UsageError
from erfnet_jobs.plan import Plan, plan_from_dict, plan_to_dict, read_plan, write_plan
from tests.strategies import plans


@given(plans())
def test_a_plan_comes_back_from_json(plan: Plan) -> None:
    assert plan_from_dict(json.loads(json.dumps(plan_to_dict(plan)))) == plan
    assert plan.world_size == len(plan.ranks)
    by_host = [place for host in ("a", "b", "c") for place in plan.on_host(host)]
    assert sorted(by_host, key=repr) == sorted(plan.ranks, key=repr)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plan=plans())
def test_a_plan_comes_back_from_a_file(plan: Plan, tmp_path: Path) -> None:
    write_plan(plan, tmp_path / "plan.json")
    assert read_plan(tmp_path / "plan.json") == plan
    assert [path.name for path in tmp_path.iterdir()] == ["plan.json"]


@given(plans(), st.data())
def test_a_plan_that_lacks_something_is_refused(plan: Plan, data: st.DataObject) -> None:
    document = plan_to_dict(plan)
    name = data.draw(st.sampled_from(["version", "kind", "spec", "run_dir", "data_dir", "ranks"]))
    del document[name]
    with pytest.raises(UsageError, match="plan"):
        plan_from_dict(document)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 3},
        {"version": "2"},
        {"kind": "nap"},
        {"ranks": [{"rank": 0}]},
        {"ranks": 5},
        {"colour": 1},
        {"inputs": [[]]},
    ],
)
@given(plan=plans())
@settings(max_examples=5)
def test_a_plan_with_what_it_cannot_have_is_refused(change: dict[str, Any], plan: Plan) -> None:
    with pytest.raises(UsageError, match="plan"):
        plan_from_dict({**plan_to_dict(plan), **change})


@given(plans())
def test_a_plan_of_version_1_is_read(plan: Plan) -> None:
    document = plan_to_dict(plan)
    assert document["version"] == 2
    del document["rank_table"], document["time_limit"]
    for place in document["ranks"]:
        del place["cores"]
    assert plan_from_dict({**document, "version": 1}) == plan


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe"])
def test_a_file_that_is_no_plan(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="plan"):
        read_plan(path)
