import os
from pathlib import Path

import numpy as np
import pytest

from erfnet_jobs.erfnet.batches import BatchPlan, stage_batches
from erfnet_jobs.erfnet.samples import Sample
from erfnet_jobs.erfnet.stages import STAGES, StageRun
from erfnet_jobs.jobs import AUGMENTATIONS


def rows(count):
    chance = np.random.default_rng(0)
    return [
        Sample(pixels(chance, 256, (64, 64, 3)), pixels(chance, 20, (64, 64)), str(number)) for number in range(count)
    ]


def pixels(chance, values, shape):
    return chance.integers(0, values, shape, np.uint8)


def batches(samples, rank=0, ranks=1, batch_size=2, steps=2, done=0, scale=1, augment=AUGMENTATIONS, threads=1):
    plan = BatchPlan(samples, (64, 64), scale, batch_size, steps, 3, rank, ranks, augment, threads)
    with stage_batches(plan, StageRun(STAGES[2], 3, done, 0, 3)) as loaded:
        return list(loaded)


def test_shapes_and_number():
    found = batches(rows(5), scale=8)

    assert len(found) == 6
    assert found[0].images.shape == (2, 3, 64, 64)
    assert found[0].labels.shape == (2, 8, 8)


def test_a_rerun_is_the_same_and_a_resumed_run_its_end():
    samples = rows(4)
    first, again, resumed = batches(samples), batches(samples), batches(samples, done=2)

    assert all((one.images == two.images).all() for one, two in zip(first, again, strict=True))
    assert all((one.images == two.images).all() for one, two in zip(first[4:], resumed, strict=True))


def test_threads_change_nothing():
    samples = rows(8)

    for one, many in zip(batches(samples, scale=8), batches(samples, scale=8, threads=5), strict=True):
        assert (one.images == many.images).all()
        assert (one.labels == many.labels).all()


def test_epochs_and_ranks_differ():
    samples = rows(8)
    mine, other = (batches(samples, rank=rank, ranks=2) for rank in (0, 1))

    assert (mine[0].images != other[0].images).any()
    assert (mine[0].images != mine[2].images).any()


def test_two_ranks_see_what_one_rank_with_twice_the_batch_sees():
    samples = rows(8)
    alone = batches(samples, batch_size=4)
    shared = [batches(samples, rank=rank, ranks=2) for rank in (0, 1)]

    for step, whole in enumerate(alone):
        assert (np.concatenate([part[step].images for part in shared]) == whole.images).all()
        assert (np.concatenate([part[step].labels for part in shared]) == whole.labels).all()


def test_images_repeat_where_there_are_fewer_than_a_batch():
    assert batches(rows(1), batch_size=4, steps=1)[0].images.shape[0] == 4


def test_the_same_image_is_augmented_otherwise_in_each_place():
    images = batches(rows(1) * 8, batch_size=8, steps=1)[0].images

    assert all((images[0] != other).any() for other in images[1:])


def test_without_choices_images_are_as_found():
    samples = rows(4)
    originals = {sample.image.tobytes() for sample in samples}

    for batch in batches(samples, augment=()):
        found = batch.images.transpose(0, 2, 3, 1)
        assert {image.tobytes() for image in found} <= originals


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_each_choice_changes_images(name):
    samples = rows(4)
    plain, chosen = (batches(samples, augment=names) for names in ((), (name,)))

    assert any((one.images != two.images).any() for one, two in zip(plain, chosen, strict=True))


def test_a_batch_may_hold_images_of_different_sizes():
    chance = np.random.default_rng(0)
    sizes = [(64, 64), (100, 60), (48, 128), (65, 63)]
    mixed = [Sample(pixels(chance, 256, (*size, 3)), pixels(chance, 20, size), str(size)) for size in sizes]

    assert batches(mixed, batch_size=4, steps=1)[0].images.shape == (4, 3, 64, 64)


def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_a_thousand_steps_need_no_more_memory_than_the_first_hundred():
    plan = BatchPlan(rows(8), (64, 64), 8, batch_size=2, steps=4, seed=3, augment=AUGMENTATIONS, threads=2)

    with stage_batches(plan, StageRun(STAGES[2], 275, 0, 0, 275)) as loaded:
        for _ in range(100):
            next(loaded)
        before = resident_bytes()
        steps = sum(1 for _ in loaded)

    # Were each step's batch kept, it would be 100 MB.
    assert steps == 1000
    assert resident_bytes() - before < 20 << 20
