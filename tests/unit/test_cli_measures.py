from erfnet_jobs.choices import CLASSES
from erfnet_jobs.cli.measures import CATEGORIES, class_lines, difference_lines, means_text, short_text

MEASURED = {
    "mean_iou": 0.5,
    "mean_iou_19": 0.25,
    "mean_iou_category": 0.75,
    "pixel_accuracy": 0.9,
    "mean_loss": 0.2,
    "iou_class": [0.9871, 0.0, None] + [0.5] * 16,
    "iou_category": [None] + [0.7] * 6,
}


def test_every_class_has_its_iou_and_absent_ones_a_dash() -> None:
    lines = class_lines(MEASURED)
    text = " ".join(" ".join(lines).split())
    assert all(name in text for name in CLASSES + CATEGORIES)
    assert "class IoU road 0.987 sidewalk 0.000 building - wall 0.500" in text
    assert "category IoU flat - construction 0.700" in text
    assert max(map(len, lines)) <= 80


def test_an_older_evaluation_has_no_categories() -> None:
    row = {**MEASURED, "iou_category": None, "mean_iou_category": None}
    assert "flat" not in " ".join(class_lines(row))
    assert "of categories -," in means_text(row)


def test_where_nothing_is_labelled_no_mean_is_zero() -> None:
    nothing = {**dict.fromkeys(MEASURED, 0.0), "iou_class": [None] * 19, "iou_category": [None] * 7}
    assert means_text(nothing) == "mean IoU -, of categories -, of 19 classes -, accuracy -, loss -"
    assert short_text(nothing) == "mean IoU -  categories -  loss -"
    assert short_text(MEASURED) == "mean IoU 0.5000  categories 0.7500  loss 0.2000"
    assert means_text(MEASURED).startswith("mean IoU 0.5000, of categories 0.7500, of 19 classes 0.2500, accuracy 0.9")


def test_of_a_converted_model_the_engine_is_told_in_place_of_the_loss() -> None:
    row = {**MEASURED, "mean_loss": None, "engine": "lite-cpu", "model_sha256": "a" * 64, "images_per_second": 2.46}
    assert short_text(row) == "mean IoU 0.5000  lite-cpu, model aaaaaaaaaaaa, 2.5 images/s"
    assert short_text({**row, "images_per_second": None}) == "mean IoU 0.5000  lite-cpu, model aaaaaaaaaaaa"


def test_differences_have_signs_and_fit_80_columns() -> None:
    lines = difference_lines([0.0234, -0.0234, None] + [-1.0] * 16)
    assert "class IoU road +0.023 sidewalk -0.023 building - wall -1.000" in " ".join(" ".join(lines).split())
    assert max(map(len, lines)) <= 80
