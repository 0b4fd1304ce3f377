from erfnet_jobs.choices import ENCODER, ERFNET
from erfnet_jobs.erfnet.schedule import learning_rate
from erfnet_jobs.erfnet.stages import STAGES, network_of_name, stage_runs
from erfnet_jobs.train_spec import TrainSpec

SPEC = TrainSpec(data="/data")


def test_the_recipe_is_the_references():
    runs = stage_runs(SPEC)

    assert [(run.stage.number, run.stage.network, run.epochs) for run in runs] == [
        (1, ENCODER, 65),
        (2, ENCODER, 85),
        (3, ERFNET, 65),
        (4, ERFNET, 85),
    ]
    assert [(run.pair_start, run.pair_epochs) for run in runs] == [(0, 150), (65, 150), (0, 150), (65, 150)]


def test_a_second_stage_goes_on_where_the_first_ended():
    first, second, *_ = stage_runs(SPEC)

    last = learning_rate(1.0, first.pair_start + first.epochs - 1, first.pair_epochs)
    assert learning_rate(1.0, second.pair_start, second.pair_epochs) < last


def test_resuming_in_the_middle_of_a_stage():
    runs = stage_runs(SPEC, done_stage=3, done_epoch=10)

    assert [(run.stage.number, run.done) for run in runs] == [(3, 10), (4, 0)]


def test_resuming_after_the_last_epoch_of_a_stage_starts_the_next():
    runs = stage_runs(SPEC, done_stage=2, done_epoch=85)

    assert [(run.stage.number, run.done) for run in runs] == [(3, 0), (4, 0)]


def test_nothing_is_left_after_the_last_epoch():
    assert stage_runs(SPEC, done_stage=4, done_epoch=85) == ()


def test_only_chosen_stages_run():
    spec = TrainSpec(data="/data", stages=(3,), checkpoint="1")

    assert [run.stage.number for run in stage_runs(spec)] == [3]


def test_names_tell_the_network():
    assert STAGES[1].checkpoint_name(3, 495) == "Encoder_stage1-3_495.ckpt"
    assert network_of_name("/a/Encoder_stage1-3_495.ckpt") == ENCODER
    assert network_of_name("/a/ERFNet_stage4-85_495.ckpt") == ERFNET
    assert network_of_name("/a/mine.ckpt") is None
