"""An evaluation as pictures: the confusion matrix, and the IoU of every class and category as bars."""

from PIL import Image, ImageDraw

from erfnet_jobs.erfnet.labels import CATEGORIES, CLASS_NAMES, CLASSES, OUTPUTS, PALETTE
from erfnet_jobs.erfnet.metrics import Matrix, Scores
from erfnet_jobs.erfnet.overlay import INK, PAPER, fitting, text_font

MARGIN = 16
TITLE_HEIGHT = 52
NAME_WIDTH = 108
# The confusion matrix.
CELL = 36
HEAD_HEIGHT = 100
SHARE_WIDTH = 64
DEEPEST = (8, 48, 107)
# The bars.
BAR = 20
LINE = 26
BAR_WIDTH = 520
VALUE_WIDTH = 100

FAINT = (150, 150, 150)
GRID = (225, 225, 225)
MEAN_INK = (200, 0, 0)
ABSENT_FILL = (243, 243, 243)
ABSENT = "absent"


def confusion_picture(matrix: Matrix, title: str) -> Image.Image:
    """Rows are true classes, columns predicted ones; cells say per cent of the row's pixels, and darker is more.

    Beside each row stands its share of all labelled pixels. A last column is there where pixels were predicted as none
    of the classes. `matrix` is OUTPUTS x OUTPUTS pixels.
    """
    counted = matrix[:CLASSES]
    columns = OUTPUTS if counted[:, CLASSES].any() else CLASSES
    width = 2 * MARGIN + NAME_WIDTH + columns * CELL + SHARE_WIDTH
    height = 2 * MARGIN + TITLE_HEIGHT + HEAD_HEIGHT + CLASSES * CELL
    page = Image.new("RGB", (width, height), PAPER)
    pen = ImageDraw.Draw(page)
    _title(pen, title, "rows: truth, columns: prediction; per cent of the true class's pixels", width)
    left, top = MARGIN + NAME_WIDTH, MARGIN + TITLE_HEIGHT + HEAD_HEIGHT
    for column in range(columns):
        name = CLASS_NAMES[column] if column < CLASSES else "no class"
        _upright(page, name, (left + column * CELL + CELL // 2, top - 6))
    end = left + columns * CELL
    pen.text((end + 8, top - 6), "share", fill=INK, font=text_font(12), anchor="ls")
    total = int(counted.sum())
    for row in range(CLASSES):
        pixels = int(counted[row].sum())
        middle = top + row * CELL + CELL // 2
        ink = INK if pixels else FAINT
        pen.text((left - 8, middle), CLASS_NAMES[row], fill=ink, font=text_font(13), anchor="rm")
        pen.text((end + 8, middle), _share(pixels, total), fill=ink, font=text_font(12), anchor="lm")
        _cells(pen, counted[row, :columns], (left, top + row * CELL))
    return page


def _cells(pen: ImageDraw.ImageDraw, counts: Matrix, corner: tuple[int, int]) -> None:
    """One row of cells; of a class that is in no truth, an empty one that says so."""
    left, top = corner
    pixels = int(counts.sum())
    if not pixels:
        box = (left, top, left + len(counts) * CELL, top + CELL)
        pen.rectangle(box, fill=ABSENT_FILL, outline=GRID)
        pen.text((left + 8, top + CELL // 2), f"{ABSENT} from the truth", fill=FAINT, font=text_font(12), anchor="lm")
        return
    for column, count in enumerate(counts.tolist()):
        share = count / pixels
        # The root lets confusions of a few per cent be seen beside a full diagonal.
        depth = share**0.5
        fill = tuple(round(255 + (deep - 255) * depth) for deep in DEEPEST)
        box = (left + column * CELL, top, left + (column + 1) * CELL, top + CELL)
        pen.rectangle(box, fill=fill, outline=GRID)
        if text := _per_cent(share):
            centre = (left + column * CELL + CELL // 2, top + CELL // 2)
            pen.text(centre, text, fill=PAPER if depth > 0.55 else INK, font=text_font(12), anchor="mm")


def _per_cent(share: float) -> str:
    """Whole per cent; nothing below one half, and 100 only for all of it."""
    if 0.995 <= share < 1:
        return f"{int(share * 1000) / 10:.1f}"
    return "" if share < 0.005 else f"{share * 100:.0f}"


def _share(pixels: int, total: int) -> str:
    if not pixels:
        return ABSENT
    share = 100 * pixels / total
    return f"{share:.1f} %" if share >= 0.1 else "<0.1 %"


def _upright(page: Image.Image, text: str, foot: tuple[int, int]) -> None:
    """Text that reads from below to above, its beginning at `foot`."""
    font = text_font(13)
    strip = Image.new("RGB", (HEAD_HEIGHT - 6, 18), PAPER)
    ImageDraw.Draw(strip).text((0, 9), text, fill=INK, font=font, anchor="lm")
    turned = strip.transpose(Image.Transpose.ROTATE_90)
    page.paste(turned, (foot[0] - turned.width // 2, foot[1] - turned.height))


def iou_picture(found: Scores, title: str) -> Image.Image:
    """One bar for each class in its colour, and for each category; their means as dashed lines."""
    rows = CLASSES + len(CATEGORIES)
    width = 2 * MARGIN + NAME_WIDTH + BAR_WIDTH + VALUE_WIDTH
    height = 2 * MARGIN + TITLE_HEIGHT + rows * LINE + 3 * LINE
    page = Image.new("RGB", (width, height), PAPER)
    pen = ImageDraw.Draw(page)
    _title(pen, title, "intersection over union; dashed: the mean of those that occur", width)
    top = MARGIN + TITLE_HEIGHT
    colours = [tuple(int(part) for part in PALETTE[train_id]) for train_id in range(CLASSES)]
    top = _bars(pen, top, list(zip(CLASS_NAMES, found.iou_class, colours, strict=True)), found.mean_iou)
    categories = [
        (name, iou, colours[train_ids.start])
        for (name, train_ids), iou in zip(CATEGORIES, found.iou_category, strict=True)
    ]
    _bars(pen, top + LINE // 2, categories, found.mean_iou_category)
    return page


Colour = tuple[int, ...]


def _bars(pen: ImageDraw.ImageDraw, top: int, rows: list[tuple[str, float | None, Colour]], mean: float) -> int:
    """Bars from `top` down, with a scale below; gives where they end."""
    left = MARGIN + NAME_WIDTH
    end = top + len(rows) * LINE
    for tenth in range(0, 11, 2):
        at = left + BAR_WIDTH * tenth // 10
        pen.line((at, top, at, end), fill=GRID)
        pen.text((at, end + 4), f"{tenth / 10:.1f}", fill=FAINT, font=text_font(11), anchor="mt")
    for place, (name, iou, colour) in enumerate(rows):
        middle = top + place * LINE + LINE // 2
        pen.text((left - 8, middle), name, fill=INK if iou is not None else FAINT, font=text_font(13), anchor="rm")
        if iou is None:
            pen.text((left + 6, middle), ABSENT, fill=FAINT, font=text_font(13), anchor="lm")
            continue
        length = round(BAR_WIDTH * iou)
        box = (left, middle - BAR // 2, left + length, middle + BAR // 2)
        pen.rectangle(box, fill=colour, outline=INK)
    if any(iou is not None for _, iou, _ in rows):
        at = left + round(BAR_WIDTH * mean)
        for start in range(top, end, 8):
            pen.line((at, start, at, min(start + 4, end)), fill=MEAN_INK, width=2)
        pen.text((left + BAR_WIDTH + 24, end + 2), f"mean {mean:.3f}", fill=MEAN_INK, font=text_font(13), anchor="lt")
    for place, (_, iou, _) in enumerate(rows):
        if iou is not None:
            beside = (left + round(BAR_WIDTH * iou) + 6, top + place * LINE + LINE // 2)
            text = f"{iou:.3f}"
            pen.text(beside, text, fill=INK, font=text_font(13), anchor="lm", stroke_width=3, stroke_fill=PAPER)
    return end + LINE


def _title(pen: ImageDraw.ImageDraw, title: str, what: str, width: int) -> None:
    pen.text((MARGIN, MARGIN), fitting(title, width - 2 * MARGIN), fill=INK, font=text_font(14))
    pen.text((MARGIN, MARGIN + 22), what, fill=FAINT, font=text_font(12))


def mean_text(found: Scores) -> str:
    """'mean IoU 0.7123', or that there is none."""
    if all(iou is None for iou in found.iou_class):
        return "nothing is labelled"
    return f"mean IoU {found.mean_iou:.4f}, of categories {found.mean_iou_category:.4f}"


def draw_scores(matrix: Matrix, found: Scores, title: str) -> dict[str, Image.Image]:
    """Both pictures by their kind: 'confusion' and 'iou'."""
    whole = f"{title}: {mean_text(found)}"
    return {"confusion": confusion_picture(matrix, whole), "iou": iou_picture(found, whole)}
