"""What the demo trains and expects: measured, and in one place."""

# Made-up scenes: (height, width), how many, and the seed.
SCENE_SIZE = (128, 256)
TRAIN_SCENES = 80
VAL_SCENES = 20
SCENES_SEED = 1

# What scenes, and frames given with --data, are brought to for training and evaluation: (height, width).
SIZE = (64, 128)

CARDS = 2
BATCH_SIZE = 2
EPOCHS = (5, 5, 14, 14)
LEARNING_RATE = 2.5e-3
SEED = 1

# Mean IoU on the validation scenes. Chance knows each position's most frequent class and does not look at the picture
# (python -m tests.benchmarks chance; road everywhere gives 0.018). A good run reaches about GOOD_MIOU; less than
# EXPECTED_MIOU means that something is wrong.
CHANCE_MIOU = 0.126
EXPECTED_MIOU = 0.15
GOOD_MIOU = 0.23
