"""What the demo trains and expects: measured, and in one place."""

# Made-up scenes: (height, width), how many, and the seed.
SIZE = (96, 192)
TRAIN_SCENES = 160
VAL_SCENES = 24
SCENES_SEED = 1

# Frames given with --data are brought to this size.
DATA_SIZE = (96, 128)

CARDS = 2
BATCH_SIZE = 4
EPOCHS = (2, 2, 10, 10)
LEARNING_RATE = 1e-3
SEED = 1

# Mean IoU on the validation scenes: of the best constant guess, and what a good run reaches at least.
CHANCE_MIOU = 0.03
EXPECTED_MIOU = 0.15
