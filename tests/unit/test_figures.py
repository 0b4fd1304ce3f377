import pytest

from erfnet_jobs.choices import CLASSES
from erfnet_jobs.errors import UsageError
from erfnet_jobs.registry.figures import FIGURES, figure_of, figure_of_class


@pytest.mark.parametrize("train_id", range(19))
def test_every_class_has_a_figure_whichever_way_it_is_written(train_id: int) -> None:
    name = CLASSES[train_id]
    for written in (name, name.upper(), name.replace(" ", ""), name.replace(" ", "-"), name.replace(" ", "_")):
        assert FIGURES[figure_of_class(written)].train_id == train_id


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ryder", "did you mean rider"),
        ("traffic", "did you mean traffic light or traffic sign|did you mean traffic sign or traffic light"),
        ("xyz", "give one of road, sidewalk, .*, bicycle"),
        ("", "give one of road"),
    ],
)
def test_an_unknown_class_is_told_with_near_ones(name: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        figure_of_class(name)


def test_an_unknown_metric_is_told_with_those_there_are() -> None:
    with pytest.raises(UsageError, match=r"'iou': give one of mean_iou, .*, mean_loss, or iou_road or"):
        figure_of("iou")
