import numpy as np

from erfnet_jobs.erfnet.labels import IGNORE, PALETTE
from erfnet_jobs.erfnet.overlay import PANEL_WIDTH, Seen, overlay, sheet, side_by_side

IMAGE = np.full((64, 128, 3), 100, np.uint8)
ROAD = np.zeros((64, 128), np.uint8)


def has_colour(picture, colour):
    return bool((np.asarray(picture) == colour).all(axis=2).any())


def test_an_overlay_is_half_the_colour_and_leaves_ignored_pixels():
    label = ROAD.copy()
    label[0] = IGNORE

    found = overlay(IMAGE, label)

    assert (found[0] == 100).all()
    assert (found[1] == np.rint((100 + PALETTE[0].astype(float)) / 2)).all()


def test_three_panels_where_the_truth_is_known():
    sky = np.full_like(ROAD, 10)
    picture = side_by_side(Seen("one", IMAGE, prediction=ROAD, truth=sky))

    assert picture.width > 3 * PANEL_WIDTH
    assert has_colour(picture, PALETTE[0])
    assert has_colour(picture, PALETTE[10])


def test_two_panels_where_it_is_not():
    picture = side_by_side(Seen("a name that is far too long for its panel " * 5, IMAGE, prediction=ROAD))

    assert 2 * PANEL_WIDTH < picture.width < 3 * PANEL_WIDTH


def test_a_sheet_holds_rows_of_different_sizes_and_one_legend():
    all_classes = np.arange(20, dtype=np.uint8).repeat(40).reshape(20, 40)
    square = Seen("square", np.zeros((20, 40, 3), np.uint8), all_classes, all_classes)

    page = sheet([Seen("one", IMAGE, ROAD), square])

    assert all(has_colour(page, colour) for colour in PALETTE)
    assert page.height > side_by_side(square).height
